// rnic_tx_segment_context: the send contexts, and the next PSN of every QP for the completer.
//
// The context of `s_next_qpn` is there in the next cycle, with a write of this one. One write per
// cycle; a context reset comes first. The PSN that is published is that of the first packet that
// was never started, whatever is being sent again. Epochs are told with every write, for the transmit
// pipeline's copy.
`include "codes.svh"
`include "streams.svh"
`include "segment.svh"

module rnic_tx_segment_context #(
  parameter int QP_COUNT = 256,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                     clk,

  // Read for the coming cycle
  input  logic [15:0]              s_next_qpn,
  output logic [SEG_CONTEXT_W-1:0] context_read,

  // Write
  input  logic                     write_en,
  input  logic [15:0]              write_qpn,
  input  logic [SEG_CONTEXT_W-1:0] write_context,

  // Next PSN of a QP, two cycles after its number
  input  logic [15:0]              psn_rd_qpn,
  output logic [23:0]              psn_rd_data,

  // Epochs, as they are written
  output logic                     epoch_en,
  output logic [15:0]              epoch_qpn,
  output logic [2:0]               epoch,

  // Context of a new life
  input  logic [QP_INIT_W-1:0]     init_data,
  input  logic                     init_valid,
  output logic                     init_zero,
  output logic [15:0]              init_qpn
);

  qp_init_t     init;
  seg_context_t fresh;
  seg_context_t wr;
  logic         init_psn;
  logic         we;
  logic [15:0]  qpn;

  assign init      = init_data;
  assign init_psn  = init_valid && init.op == QP_INIT_OP_RTS;
  assign init_zero = init_valid && (init.op == QP_INIT_OP_CREATE || init.op == QP_INIT_OP_DESTROY);
  assign init_qpn  = init.qpn;
  assign we        = write_en || init_zero || init_psn;
  assign qpn       = init_valid ? init.qpn : write_qpn;

  always_comb begin
    fresh = '0;
    if (init_psn) begin
      fresh.psn      = init.psn;
      fresh.high_psn = init.psn;
      fresh.sent     = init.psn;
      fresh.ssn      = 24'd1;
    end
  end

  assign wr = init_valid ? fresh : write_context;

  ram_1w1r #(
    .DATA_W (SEG_CONTEXT_W),
    .DEPTH  (QP_COUNT),
    .BYPASS (1)
  ) u_context (
    .clk,
    .wr_en   (we),
    .wr_addr (qpn[QP_W-1:0]),
    .wr_data (wr),
    .rd_en   (1'b1),
    .rd_addr (s_next_qpn[QP_W-1:0]),
    .rd_data (context_read)
  );

  logic [23:0] psn_early;

  ram_1w1r #(
    .DATA_W (24),
    .DEPTH  (QP_COUNT),
    .BYPASS (1)
  ) u_psn (
    .clk,
    .wr_en   (we),
    .wr_addr (qpn[QP_W-1:0]),
    .wr_data (wr.high_psn),
    .rd_en   (1'b1),
    .rd_addr (psn_rd_qpn[QP_W-1:0]),
    .rd_data (psn_early)
  );

  always_ff @(posedge clk) psn_rd_data <= psn_early;

  assign epoch_en  = we;
  assign epoch_qpn = qpn;
  assign epoch     = wr.epoch;

endmodule
