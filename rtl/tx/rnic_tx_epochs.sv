// rnic_tx_epochs: which epoch each queue pair is in, as requester: a packet of another one is stale.
//
// The requester tells when one changes. Reads are combinational and see every earlier write.
module rnic_tx_epochs #(
  parameter int QP_COUNT = 256
) (
  input  logic        clk,

  // The requester's word
  input  logic        epoch_en,
  input  logic [15:0] epoch_qpn,
  input  logic [2:0]  epoch,

  // Read
  input  logic [15:0] rd_a_qpn,
  output logic [2:0]  rd_a_epoch,
  input  logic [15:0] rd_b_qpn,
  output logic [2:0]  rd_b_epoch
);

  localparam int QP_W = $clog2(QP_COUNT);

  logic [2:0] mem [QP_COUNT];

  assign rd_a_epoch = mem[rd_a_qpn[QP_W-1:0]];
  assign rd_b_epoch = mem[rd_b_qpn[QP_W-1:0]];

  always_ff @(posedge clk) begin
    if (epoch_en) mem[epoch_qpn[QP_W-1:0]] <= epoch;
  end

endmodule
