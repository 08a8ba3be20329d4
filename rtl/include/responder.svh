// What the stages of the responder hand to each other; nothing outside rtl/responder uses it.
`ifndef RNIC_RESPONDER_SVH
`define RNIC_RESPONDER_SVH

`include "streams.svh"

localparam logic [1:0] RSP_CMD_FRAME = 2'd0;       // a frame, becomes one group
localparam logic [1:0] RSP_CMD_FLUSH_HAND = 2'd1;  // flush the receive WQE that a SEND holds
localparam logic [1:0] RSP_CMD_FLUSH_WQE = 2'd2;   // flush the receive WQE claimed here

// What check found; at most one bit.
typedef struct packed {
  logic again;         // a read or atomic that the resource table remembers
  logic repeated;      // any other repeated request
  logic out_of_order;  // ahead of the expected PSN
  logic no_entry;      // needs a receive entry and there is none
  logic fatal_early;   // out of sequence, reserved, no right, above the read limit
  logic fatal_length;  // length or alignment
  logic good;
} rsp_verdict_t;
localparam int RSP_VERDICT_W = 7;

// From check to receive.
typedef struct packed {
  rx_retire_t  retire;         // consequences, as far as check knows them
  logic [1:0]  kind;           // RSP_CMD_*
  logic        takes_wqe;      // claims entry `index` of ring `rq_id`
  logic        scatter;        // the payload goes to the receive WQE
  logic        store;          // the payload goes to reth_va
  logic        ends;           // last packet of its message
  logic        invalidate;     // invalidate retire.imm behind the payload
  logic        shared;         // FLUSH_HAND: receives come from an SRQ
  logic [12:0] payload_len;    // bytes
  logic [5:0]  payload_off;    // copied from the header
  logic [6:0]  payload_beats;  // copied from the header
  logic [15:0] pd;             // of the QP
  logic [15:0] rq_id;          // receive ring
  logic [15:0] index;          // entry claimed
} rsp_cmd_t;
localparam int RSP_CMD_W = RX_RETIRE_W + 2 + 6 + 13 + 6 + 7 + 48;

// From receive to retire: a receive WQE to complete as flushed, behind the groups before it.
typedef struct packed {
  logic        nothing;  // there was none: only gives its credit back
  logic        hand;     // it was in use by a SEND in progress
  logic        reached;  // the QP holds no entry of its SRQ any more
  logic [15:0] qpn;      // queue pair
  logic [15:0] cqn;      // receive CQ
  logic [31:0] wr_id;    // request context
  logic [15:0] index;    // receive queue index
  logic [15:0] behind;   // groups that must have retired before, free running
} rsp_flush_t;
localparam int RSP_FLUSH_W = 99;

localparam logic [1:0] RSP_REPLY_ACK = 2'd0;     // an acknowledge or a NAK
localparam logic [1:0] RSP_REPLY_READ = 2'd1;    // a read
localparam logic [1:0] RSP_REPLY_ATOMIC = 2'd2;  // an atomic
// An acknowledge, if a NAK for its PSN waits; nothing, if it is a repeat that is forgotten.
localparam logic [1:0] RSP_REPLY_SETTLE = 2'd3;

// From retire to reply: what to answer.
typedef struct packed {
  logic [1:0]  kind;      // RSP_REPLY_*
  logic        again;     // read, atomic, settle: a repeated one
  logic [3:0]  place;     // read, atomic: place in the resource table
  logic [15:0] qpn;       // queue pair
  logic [23:0] psn;       // first response PSN, or PSN of the acknowledge
  logic [7:0]  syndrome;  // AETH
  logic [23:0] msn;       // AETH
  logic [63:0] value;     // read: first byte; atomic, unless repeated: the original number
  logic [31:0] rkey;      // read: token
  logic [31:0] length;    // read: bytes
} rsp_reply_t;
localparam int RSP_REPLY_W = 207;

// A read or an atomic in the resource table: what a repeated request must agree with.
typedef struct packed {
  logic        atomic;
  logic [23:0] psn;
  logic [63:0] va;
  logic [31:0] rkey;
  logic [31:0] length;  // atomic: unused
} rsp_record_t;
localparam int RSP_RECORD_W = 153;

// What is left to answer of a read or an atomic; `value` of the order lies beside it.
typedef struct packed {
  logic        atomic;
  logic        started;  // a response has left
  logic [4:0]  credits;  // code
  logic [23:0] psn;      // of the next response
  logic [23:0] msn;
  logic [31:0] rkey;
  logic [31:0] length;   // atomic: 0
} rsp_job_t;
localparam int RSP_JOB_W = 119;

localparam int RSP_READS_W  = 5;   // reads and atomics answered, modulo 32
localparam int RSP_ORDERS_W = 10;  // orders for reply on their way, modulo 1024

// Payload bytes of a full packet.
function automatic logic [12:0] rsp_mtu_bytes(input logic [2:0] mtu);
  rsp_mtu_bytes = 13'd128 << mtu;
endfunction

`endif
