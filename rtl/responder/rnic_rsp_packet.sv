// rnic_rsp_packet: the next response of a queue pair, from its job or its acknowledge.
//
// Combinational.
`include "responder.svh"
`include "wire.svh"
`include "codes.svh"

module rnic_rsp_packet #(
  parameter int QP_W = 8
) (
  // The queue pair
  input  logic [QP_W-1:0]        qpn,
  input  logic [15:0]            pd,

  // The read or atomic to answer, if any
  input  logic                   has_job,
  input  logic [RSP_JOB_W-1:0]   job_data,
  input  logic [63:0]            value,      // next byte of a read; original number of an atomic
  input  logic [12:0]            piece,      // bytes in this response
  input  logic                   finishes,   // it is the last
  input  logic                   again,      // all of it was answered before

  // The acknowledge otherwise
  input  logic [23:0]            ack_psn,
  input  logic [7:0]             ack_syndrome,
  input  logic [23:0]            ack_msn,

  // What is left of the job, and the packet
  output logic [RSP_JOB_W-1:0]   rest_data,
  output logic [63:0]            rest_value,
  output logic [TX_PACKET_W-1:0] packet_data
);

  rsp_job_t   job;
  rsp_job_t   rest;
  tx_packet_t packet;
  mem_req_t   mem;
  logic [TX_PACKET_W-1:0] packet_bits;

  assign job         = job_data;
  assign rest_data   = rest;
  assign rest_value  = value + 64'(piece);
  assign packet_bits = packet;

  always_comb begin
    rest         = job;
    rest.started = 1'b1;
    rest.psn     = job.psn + 24'd1;
    rest.length  = job.length - 32'(piece);
  end

  always_comb begin
    mem        = '0;
    mem.pd     = pd;
    mem.qpn    = 16'(qpn);
    mem.access = ACCESS_REMOTE_READ;
    if (has_job && piece != '0) begin
      mem.kind   = SEG_KIND_KEY;
      mem.va     = value;
      mem.length = piece;
      mem.token  = job.rkey;
    end
  end

  always_comb begin
    packet          = '0;
    packet.first    = 1'b1;
    packet.last     = 1'b1;
    packet.response = 1'b1;
    packet.qpn      = 16'(qpn);
    packet.opcode   = OPCODE_RC_ACKNOWLEDGE;
    packet.psn      = ack_psn;
    packet.syndrome = ack_syndrome;
    packet.msn      = ack_msn;
    if (has_job) begin
      packet.again       = again;
      packet.psn         = job.psn;
      packet.payload_len = piece;
      packet.syndrome    = SYNDROME_ACK | 8'(job.credits);
      packet.msn         = job.msn;
      if (job.atomic) begin
        packet.opcode = OPCODE_RC_ATOMIC_ACKNOWLEDGE;
        packet.swap   = value;
      end else if (job.started) begin
        packet.opcode = finishes ? OPCODE_RC_READ_RESPONSE_LAST : OPCODE_RC_READ_RESPONSE_MIDDLE;
      end else begin
        packet.opcode = finishes ? OPCODE_RC_READ_RESPONSE_ONLY : OPCODE_RC_READ_RESPONSE_FIRST;
      end
    end
  end

  assign packet_data = {mem, packet_bits[TX_PACKET_W-MEM_REQ_W-1:0]};

endmodule
