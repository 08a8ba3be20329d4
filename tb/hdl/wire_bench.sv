// wire_bench: the structs and functions of the generated includes as wires.
`include "layouts.svh"
`include "wire.svh"

module wire_bench (
  input  logic [7:0]               opcode,
  output logic [OPCODE_INFO_W-1:0] info,
  input  logic [4:0]               timer,
  output logic [16:0]              wait_10us,

  input  bth_t                     bth,
  output logic [23:0]              dest_qp,
  output logic [23:0]              psn,

  input  sq_wqe_t                  wqe,
  output logic [63:0]              remote_addr,
  output logic [15:0]              index,
  output logic                     solicited
);

  assign info        = opcode_info(opcode);
  assign wait_10us   = rnr_timer_10us(timer);
  assign dest_qp     = bth.dest_qp;
  assign psn         = bth.psn;
  assign remote_addr = wqe.remote_addr;
  assign index       = wqe.index;
  assign solicited   = wqe.flags[WQE_FLAG_SOLICITED_B];

endmodule
