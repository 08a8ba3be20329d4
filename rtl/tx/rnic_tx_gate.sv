// rnic_tx_gate: a soft reset leaves the MAC whole frames.
//
// Stands between the frame buffer and the MAC, outside of what a soft reset resets. While `stop`
// is up no frame begins; the one on the wire goes on, and `busy` tells. If the reset comes before
// its end, because the MAC does not take it, the beat on offer stays, as a stream has to, and a
// last beat behind it closes the frame; its ICRC is wrong, so no peer takes it.
module rnic_tx_gate #(
  parameter int DATA_W = 512,
  localparam int KEEP_W = DATA_W / 8
) (
  input  logic              clk,
  input  logic              rst,

  // Begin no frame; what is upstream is being reset
  input  logic              stop,
  input  logic              cut,
  output logic              busy,

  // Frames
  input  logic [DATA_W-1:0] s_data,
  input  logic [KEEP_W-1:0] s_keep,
  input  logic              s_last,
  input  logic              s_valid,
  output logic              s_ready,

  // To the MAC
  output logic [DATA_W-1:0] m_data,
  output logic [KEEP_W-1:0] m_keep,
  output logic              m_last,
  output logic              m_valid,
  input  logic              m_ready
);

  typedef enum logic [1:0] {PASS, HELD, TAIL} state_e;

  state_e            state_q;
  logic              begun_q;   // the MAC has been offered part of a frame, and not taken its end
  logic              open;
  logic [DATA_W-1:0] data_q;
  logic [KEEP_W-1:0] keep_q;
  logic              last_q;

  assign open    = state_q == PASS && (begun_q || !stop);
  assign s_ready = open && m_ready;
  assign busy    = state_q == PASS && begun_q;

  assign m_valid = state_q == PASS ? open && s_valid : 1'b1;
  assign m_data  = state_q == PASS ? s_data : data_q;
  assign m_keep  = state_q == PASS ? s_keep : state_q == HELD ? keep_q : KEEP_W'(1);
  assign m_last  = state_q == PASS ? s_last : state_q == HELD ? last_q : 1'b1;

  always_ff @(posedge clk) begin
    data_q <= m_data;
    keep_q <= m_keep;
    last_q <= m_last;
    if (m_valid) begun_q <= !(m_ready && m_last);

    case (state_q)
      PASS: if (cut) begin
        if (m_valid && !m_ready)                                  state_q <= HELD;
        else if ((m_valid && !m_last) || (!m_valid && begun_q)) state_q <= TAIL;
      end
      HELD: if (m_ready) begin
        if (last_q) state_q <= PASS;
        else        state_q <= TAIL;
      end
      default: if (m_ready) state_q <= PASS;
    endcase

    if (rst) begin
      state_q <= PASS;
      begun_q <= 1'b0;
    end
  end

endmodule
