// rnic_rx_write: moves payload from where it lay in the frame to where it belongs in a memory line.
//
//   payload ─► w0 w1 ─► choose 64 bytes ─► rotate by eights ─► rotate by ones ─► lines
//   moves ───────^
//
// Two payload beats are in sight, so any line takes one cycle, whatever the alignment of source and
// target; the next move begins in the cycle after. All beats of a group are consumed: what is left
// after its last move is thrown away, one beat per cycle, the last one together with its line.
// The number of a word comes with its move, turned to where it belongs, and takes no payload.
`include "rx.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_rx_write (
  input  logic            clk,
  input  logic            rst,

  // Moves
  input  rx_move_t        s_move_data,
  input  logic            s_move_valid,
  output logic            s_move_ready,

  // Payload beats
  input  logic [511:0]    s_data,
  input  logic            s_valid,
  output logic            s_ready,

  // Lines
  output dma_write_data_t m_wdata_data,
  output logic            m_wdata_valid,
  input  logic            m_wdata_ready
);

  // The two beats in sight

  logic [511:0] w0_q;
  logic [511:0] w1_q;
  logic         v0_q;
  logic         v1_q;
  logic         pop;

  assign s_ready = !v1_q || pop;

  always_ff @(posedge clk) begin
    if (pop || !v0_q) begin
      w0_q <= v1_q ? w1_q : s_data;
      v0_q <= v1_q || s_valid;
      // Behind an empty place nothing waits: v1 is only set when v0 is.
      w1_q <= s_data;
      v1_q <= v1_q && s_valid;
    end else if (!v1_q) begin
      w1_q <= s_data;
      v1_q <= s_valid;
    end
    if (rst) begin
      v0_q <= 1'b0;
      v1_q <= 1'b0;
    end
  end

  // One line

  logic        going_q;    // not the first line of the move
  logic        discard_q;  // the last line is done, beats are left
  logic [5:0]  pos_q;      // next byte in w0
  logic [6:0]  left_q;     // beats of the group not consumed
  logic [12:0] rem_q;      // bytes of the move

  logic [5:0]  pos;
  logic [6:0]  left;
  logic [12:0] rem;
  logic [5:0]  lane;
  logic [6:0]  room;
  logic [6:0]  count;      // bytes in this line
  logic [6:0]  used;       // payload bytes among them
  logic [7:0]  behind;     // end of them in the beats in sight
  logic        ends;       // last line of the move
  logic        takes;      // consumes a beat
  logic        in_sight;
  logic        emit;
  logic        go;
  logic [6:0]  left_after;
  logic        line_ready;

  assign pos    = !going_q && s_move_data.first ? s_move_data.off : pos_q;
  assign left   = !going_q && s_move_data.first ? s_move_data.beats : left_q;
  assign rem    = going_q ? rem_q : s_move_data.length;
  assign lane   = going_q ? '0 : s_move_data.lane;
  assign room   = 7'd64 - 7'(lane);
  assign ends   = rem <= 13'(room);
  assign count  = ends ? rem[6:0] : room;
  assign used   = s_move_data.word ? '0 : count;
  assign behind = 8'(pos) + 8'(used);

  assign takes      = left != '0 && (behind >= 8'd64 || (ends && s_move_data.last));
  assign left_after = left - 7'(takes);
  // A group never moves more than its payload; should it, it gets no bytes of another frame's.
  assign in_sight   = (v0_q || left == '0 || (used == '0 && !takes))
                   && (v1_q || behind <= 8'd64 || left <= 7'd1);
  assign emit       = s_move_data.write && count != '0;
  assign go         = s_move_valid && !discard_q && in_sight && (line_ready || !emit);

  assign pop          = discard_q ? v0_q : go && takes;
  assign s_move_ready = discard_q ? v0_q && left_q == 7'd1
                                  : go && ends && (!s_move_data.last || left_after == '0);

  always_ff @(posedge clk) begin
    if (go) begin
      pos_q     <= behind[5:0];
      left_q    <= left_after;
      rem_q     <= rem - 13'(count);
      going_q   <= !ends;
      discard_q <= ends && s_move_data.last && left_after != '0;
    end
    if (discard_q && v0_q) begin
      left_q    <= left_q - 1'b1;
      discard_q <= left_q != 7'd1;
    end
    if (rst) begin
      going_q   <= 1'b0;
      discard_q <= 1'b0;
    end
  end

  // The byte at `pos` goes to `lane`; bytes before `pos` are those of w1.

  logic [2:0]      valid_q;
  logic [511:0]    pick_q;
  logic [5:0]      turn_q;
  logic [2:0]      fine_q;
  logic [511:0]    coarse_q;
  logic [511:0]    line_q;
  logic [2:0][63:0] strb_q;
  logic [2:0]      last_q;
  logic [511:0]    coarse;
  logic [511:0]    fine;
  logic [63:0]     strb;

  assign strb = ~(~64'd0 << count) << lane;

  always_comb begin
    coarse = pick_q;
    if (turn_q[5]) coarse = {coarse[255:0], coarse[511:256]};
    if (turn_q[4]) coarse = {coarse[127:0], coarse[511:128]};
    if (turn_q[3]) coarse = {coarse[63:0], coarse[511:64]};
    fine = coarse_q;
    if (fine_q[2]) fine = {fine[31:0], fine[511:32]};
    if (fine_q[1]) fine = {fine[15:0], fine[511:16]};
    if (fine_q[0]) fine = {fine[7:0], fine[511:8]};
  end

  always_ff @(posedge clk) begin
    if (line_ready) begin
      for (int i = 0; i < 64; i++)
        pick_q[8*i +: 8] <= 6'(i) >= pos ? w0_q[8*i +: 8] : w1_q[8*i +: 8];
      turn_q   <= pos - lane;
      if (s_move_data.word) pick_q <= {8{s_move_data.number}};
      if (s_move_data.word) turn_q <= '0;
      coarse_q <= coarse;
      fine_q   <= turn_q[2:0];
      line_q   <= fine;
      strb_q   <= {strb_q[1:0], strb};
      last_q   <= {last_q[1:0], ends};
      valid_q  <= {valid_q[1:0], go && emit};
    end
    if (rst) valid_q <= '0;
  end

  // The end of the pipeline stops it; the skid keeps the sink's ready out of here.

  dma_write_data_t line;
  logic            skid_ready;

  assign line_ready = !valid_q[2] || skid_ready;
  assign line.data  = line_q;
  assign line.strb  = strb_q[2];
  assign line.last  = last_q[2];

  stream_skid #(.DATA_W(DMA_WRITE_DATA_W)) u_skid (
    .clk,
    .rst,
    .s_data  (line),
    .s_valid (valid_q[2]),
    .s_ready (skid_ready),
    .m_data  (m_wdata_data),
    .m_valid (m_wdata_valid),
    .m_ready (m_wdata_ready)
  );

  `RNIC_ASSERT(second_beat_only_behind_a_first, !v1_q || v0_q)
  `RNIC_ASSERT(moves_stay_inside_the_payload, !go || used == '0 || behind <= 8'(64 * left) || left > 7'd2)

endmodule
