// rnic_tx_segment_opcode: the BTH opcode of a packet, from its message and its place in it.
`include "layouts.svh"
`include "wire.svh"

module rnic_tx_segment_opcode (
  input  logic [7:0] wr_op,
  input  logic       first,
  input  logic       last,
  output logic [7:0] opcode
);

  logic is_write;

  assign is_write = wr_op == WR_OP_WRITE || wr_op == WR_OP_WRITE_IMM;

  always_comb begin
    opcode = is_write ? OPCODE_RC_WRITE_MIDDLE : OPCODE_RC_SEND_MIDDLE;
    if (first && !last) opcode = is_write ? OPCODE_RC_WRITE_FIRST : OPCODE_RC_SEND_FIRST;
    case (wr_op)
      WR_OP_SEND:
        if (last) opcode = first ? OPCODE_RC_SEND_ONLY : OPCODE_RC_SEND_LAST;
      WR_OP_SEND_IMM:
        if (last) opcode = first ? OPCODE_RC_SEND_ONLY_IMM : OPCODE_RC_SEND_LAST_IMM;
      WR_OP_SEND_INV:
        if (last) opcode = first ? OPCODE_RC_SEND_ONLY_INV : OPCODE_RC_SEND_LAST_INV;
      WR_OP_WRITE:
        if (last) opcode = first ? OPCODE_RC_WRITE_ONLY : OPCODE_RC_WRITE_LAST;
      WR_OP_WRITE_IMM:
        if (last) opcode = first ? OPCODE_RC_WRITE_ONLY_IMM : OPCODE_RC_WRITE_LAST_IMM;
      WR_OP_READ:      opcode = OPCODE_RC_READ_REQUEST;
      WR_OP_CMP_SWAP:  opcode = OPCODE_RC_COMPARE_SWAP;
      WR_OP_FETCH_ADD: opcode = OPCODE_RC_FETCH_ADD;
      default: ;
    endcase
  end

endmodule
