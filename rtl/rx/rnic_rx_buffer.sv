// rnic_rx_buffer: keeps the header and the payload of good frames, and nothing of others.
//
// Payload beats are written as they come; the last beat of a frame brings the verdict, and the
// frame is then committed or taken back. Takes a beat every cycle and never stalls: a frame that
// finds no room, for a payload beat or for its header, is dropped whole. Headers leave two
// cycles after the last beat, payload beats one; both in frame order.
`include "codes.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_rx_buffer #(
  parameter int BEATS  = 512,
  parameter int FRAMES = 128
) (
  input  logic         clk,
  input  logic         rst,

  // Beats of frames; header and reason count in the last one
  input  logic         s_en,
  input  logic         s_last,
  input  logic         s_store,   // this beat holds payload
  input  logic [511:0] s_data,
  input  rx_header_t   s_hdr,
  input  logic [4:0]   s_reason,  // DropReason

  // Headers of committed frames
  output rx_header_t   m_hdr_data,
  output logic         m_hdr_valid,
  input  logic         m_hdr_ready,

  // Their payload beats
  output logic [511:0] m_data,
  output logic         m_valid,
  input  logic         m_ready,

  // A frame lives, or is gone
  output logic         good_en,
  output logic         good_ce,
  output logic         drop_en,
  output logic [4:0]   drop_reason
);

  localparam int PTR_W = $clog2(BEATS);

  logic [PTR_W:0] wr_q;
  logic [PTR_W:0] commit_q;
  logic [PTR_W:0] rd_q;
  logic [PTR_W:0] wr_next;
  logic           lost_q;   // this frame has missed a beat
  logic           lost;
  logic           full;
  logic           put;
  logic           keep;
  logic           hdr_ready;

  assign full    = wr_q - rd_q == (PTR_W + 1)'(BEATS);
  assign lost    = lost_q || (s_en && s_store && full);
  assign put     = s_en && s_store && !lost;
  assign wr_next = wr_q + (PTR_W + 1)'(put);
  assign keep    = s_en && s_last && s_reason == DROP_REASON_NONE && !lost && hdr_ready;

  always_ff @(posedge clk) begin
    wr_q   <= s_en && s_last && !keep ? commit_q : wr_next;
    lost_q <= lost && !(s_en && s_last);
    if (keep) commit_q <= wr_next;
    if (rst) begin
      wr_q     <= '0;
      commit_q <= '0;
      lost_q   <= 1'b0;
    end
  end

  // Payload: the RAM's read register is the output register.
  logic fetch;

  assign fetch = rd_q != commit_q && (!m_valid || m_ready);

  ram_1w1r #(.DATA_W(512), .DEPTH(BEATS)) u_payload (
    .clk,
    .wr_en   (put),
    .wr_addr (wr_q[PTR_W-1:0]),
    .wr_data (s_data),
    .rd_en   (fetch),
    .rd_addr (rd_q[PTR_W-1:0]),
    .rd_data (m_data)
  );

  always_ff @(posedge clk) begin
    if (fetch) rd_q <= rd_q + 1'b1;
    m_valid <= fetch || (m_valid && !m_ready);
    if (rst) begin
      rd_q    <= '0;
      m_valid <= 1'b0;
    end
  end


  stream_fifo #(.DATA_W(RX_HEADER_W), .DEPTH(FRAMES), .REGISTERED(1)) u_headers (
    .clk,
    .rst,
    .s_data  (s_hdr),
    .s_valid (keep),
    .s_ready (hdr_ready),
    .m_data  (m_hdr_data),
    .m_valid (m_hdr_valid),
    .m_ready (m_hdr_ready),
    .count   ()
  );

  // Events
  always_ff @(posedge clk) begin
    good_en     <= keep;
    good_ce     <= keep && s_hdr.ce;
    drop_en     <= s_en && s_last && !keep;
    drop_reason <= s_reason == DROP_REASON_NONE ? DROP_REASON_RX_OVERFLOW : s_reason;
    if (rst) begin
      good_en <= 1'b0;
      good_ce <= 1'b0;
      drop_en <= 1'b0;
    end
  end

  `RNIC_ASSERT(payload_is_never_overwritten, wr_q - rd_q <= (PTR_W + 1)'(BEATS))

endmodule
