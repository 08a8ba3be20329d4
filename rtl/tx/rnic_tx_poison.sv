// rnic_tx_poison: which queue pairs send no more, as requester (bit 0) and as responder (bit 1).
//
// Reads are combinational and see every earlier write. Setting goes before clearing.
module rnic_tx_poison #(
  parameter int QP_COUNT = 256
) (
  input  logic        clk,

  // Read
  input  logic [15:0] rd_a_qpn,
  output logic [1:0]  rd_a_bits,
  input  logic [15:0] rd_b_qpn,
  output logic [1:0]  rd_b_bits,

  // Set
  input  logic        set_en,
  input  logic [15:0] set_qpn,
  input  logic [1:0]  set_bits,

  // Clear, when nothing is being set
  input  logic        clear_en,
  input  logic [15:0] clear_qpn
);

  localparam int QP_W = $clog2(QP_COUNT);

  logic [1:0] mem [QP_COUNT];

  assign rd_a_bits = mem[rd_a_qpn[QP_W-1:0]];
  assign rd_b_bits = mem[rd_b_qpn[QP_W-1:0]];

  always_ff @(posedge clk) begin
    if (set_en)        mem[set_qpn[QP_W-1:0]]   <= set_bits;
    else if (clear_en) mem[clear_qpn[QP_W-1:0]] <= 2'b00;
  end

endmodule
