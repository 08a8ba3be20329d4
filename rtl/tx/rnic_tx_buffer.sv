// rnic_tx_buffer: holds frames until they are whole, then sends each without a gap.
//
// Room for a frame is taken when its first beat is about to be made, so beats are never held up.
// A frame that is dropped gives its room back. Beats come ICRC_LATENCY cycles behind the word that
// the frame is good: as at most one beat comes per cycle, a frame of n beats may start n - 1 cycles
// before its last beat is here.
`include "streams.svh"
`include "assert.svh"

module rnic_tx_buffer #(
  parameter int DEPTH = 512,
  parameter int PTR_W = $clog2(DEPTH)
) (
  input  logic                 clk,
  input  logic                 rst,

  // Room, and frames that take it
  output logic [PTR_W:0]       room,
  input  logic                 take_en,
  input  logic [6:0]           take_beats,

  // The last beat of a frame enters the ICRC stage; beats: as taken
  input  logic                 end_en,
  input  logic                 end_drop,
  input  logic [6:0]           end_beats,

  // Beats, four cycles later
  input  logic [TX_BEAT_W-1:0] s_beat,
  input  logic                 s_beat_en,

  // To the MAC
  output logic [511:0]         m_axis_tx_tdata,
  output logic [63:0]          m_axis_tx_tkeep,
  output logic                 m_axis_tx_tlast,
  output logic                 m_axis_tx_tvalid,
  input  logic                 m_axis_tx_tready,

  // Statistics: a frame, a beat of so many bytes
  output logic                 ev_packet,
  output logic                 ev_bytes_en,
  output logic [6:0]           ev_bytes
);

  localparam int ENTRY_W      = 512 + 6 + 1;
  localparam int ICRC_LATENCY = 4;

  // Write
  tx_beat_t         beat;
  logic [PTR_W-1:0] wr_q;
  logic [PTR_W-1:0] start_q;

  assign beat = s_beat;

  always_ff @(posedge clk) begin
    if (s_beat_en) begin
      wr_q <= wr_q + 1'b1;
      if (beat.last && beat.drop) wr_q <= start_q;
      if (beat.last && !beat.drop) start_q <= wr_q + 1'b1;
    end
    if (rst) begin
      wr_q    <= '0;
      start_q <= '0;
    end
  end

  // A good frame counts when its first beat can be read with all others behind it in time.
  logic [ICRC_LATENCY-1:0]      wait_q;
  logic [ICRC_LATENCY-1:0][2:0] beats_q;
  logic                         good;
  logic                         long_frame;
  logic                         add_en;
  logic [6:0]                   add_beats;
  logic [PTR_W-1:0]             commit_q;

  assign good       = end_en && !end_drop;
  assign long_frame = end_beats > 7'(ICRC_LATENCY);
  assign add_en     = wait_q[0] || (good && long_frame);
  assign add_beats  = wait_q[0] ? {4'd0, beats_q[0]} : end_beats;

  always_ff @(posedge clk) begin
    for (int i = 0; i < ICRC_LATENCY; i++) begin
      if (i + 1 < ICRC_LATENCY) begin
        wait_q[i]  <= wait_q[i+1];
        beats_q[i] <= beats_q[i+1];
      end else begin
        wait_q[i] <= 1'b0;
      end
      // n beats: ICRC_LATENCY + 1 - n cycles of waiting
      if (good && end_beats == 7'(ICRC_LATENCY - i)) begin
        wait_q[i]  <= 1'b1;
        beats_q[i] <= end_beats[2:0];
      end
    end
    if (add_en) commit_q <= commit_q + PTR_W'(add_beats);
    if (rst) begin
      wait_q   <= '0;
      commit_q <= '0;
    end
  end

  // Read straight into the output register
  logic [PTR_W-1:0]   rd_q;
  logic               fetch;
  logic [ENTRY_W-1:0] entry;
  logic [5:0]         count;

  assign fetch = rd_q != commit_q && (!m_axis_tx_tvalid || m_axis_tx_tready);

  ram_1w1r #(.DATA_W(ENTRY_W), .DEPTH(DEPTH)) u_ram (
    .clk,
    .wr_en   (s_beat_en),
    .wr_addr (wr_q),
    .wr_data ({beat.last, beat.count[5:0], beat.data}),
    .rd_en   (fetch),
    .rd_addr (rd_q),
    .rd_data (entry)
  );

  always_ff @(posedge clk) begin
    if (fetch) rd_q <= rd_q + 1'b1;
    if (fetch)                 m_axis_tx_tvalid <= 1'b1;
    else if (m_axis_tx_tready) m_axis_tx_tvalid <= 1'b0;
    if (rst) begin
      rd_q             <= '0;
      m_axis_tx_tvalid <= 1'b0;
    end
  end

  assign {m_axis_tx_tlast, count, m_axis_tx_tdata} = entry;

  assign m_axis_tx_tkeep = count == 6'd0 ? ~64'd0 : ~(~64'd0 << count);

  // Room
  logic drop_en;
  assign drop_en = end_en && end_drop;

  // A dropped frame's beats are overwritten in order, so its room may be given away at once.
  always_ff @(posedge clk) begin
    room <= room + (PTR_W + 1)'(fetch)
                 + (drop_en ? (PTR_W + 1)'(end_beats) : '0)
                 - (take_en ? (PTR_W + 1)'(take_beats) : '0);
    // One beat short of full, because rd_q == commit_q means empty.
    if (rst) room <= (PTR_W + 1)'(DEPTH - 1);
  end

  assign ev_packet   = m_axis_tx_tvalid && m_axis_tx_tready && m_axis_tx_tlast;
  assign ev_bytes_en = m_axis_tx_tvalid && m_axis_tx_tready;
  assign ev_bytes    = {count == 6'd0, count};

  `RNIC_ASSERT(room_is_not_overdrawn, !take_en || (PTR_W + 1)'(take_beats) <= room)
  `RNIC_ASSERT(one_frame_at_a_time, !(wait_q[0] && good && long_frame))

endmodule
