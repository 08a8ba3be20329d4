// What the stages of the responder hand to each other; nothing outside rtl/responder uses it.
`ifndef RNIC_RESPONDER_SVH
`define RNIC_RESPONDER_SVH

`include "streams.svh"

localparam logic [1:0] RSP_CMD_FRAME = 2'd0;       // a frame, becomes one group
localparam logic [1:0] RSP_CMD_FLUSH_HAND = 2'd1;  // flush the receive WQE that a SEND holds
localparam logic [1:0] RSP_CMD_FLUSH_WQE = 2'd2;   // flush the receive WQE claimed here

// From check to receive. The fields of `retire` that only atomics use are on top and always zero.
typedef struct packed {
  rx_retire_t  retire;         // consequences, as far as check knows them
  logic [1:0]  kind;           // RSP_CMD_*
  logic        takes_wqe;      // claims entry `index` of ring `rq_id`
  logic        scatter;        // the payload goes to the receive WQE
  logic        store;          // the payload goes to reth_va
  logic        ends;           // last packet of its message
  logic        invalidate;     // invalidate retire.imm behind the payload
  logic [12:0] payload_len;    // bytes
  logic [5:0]  payload_off;    // copied from the header
  logic [6:0]  payload_beats;  // copied from the header
  logic [15:0] pd;             // of the QP
  logic [15:0] rq_id;          // receive ring
  logic [15:0] index;          // entry claimed
} rsp_cmd_t;
localparam int RSP_CMD_W = RX_RETIRE_W + 2 + 5 + 13 + 6 + 7 + 48;
localparam int RSP_CMD_UNUSED = 129;  // read_last, compare, swap of `retire`

// From receive to retire: a receive WQE to complete as flushed, behind the groups before it.
typedef struct packed {
  logic        nothing;  // there was none: only gives its credit back
  logic [15:0] qpn;      // queue pair
  logic [15:0] cqn;      // receive CQ
  logic [31:0] wr_id;    // request context
  logic [15:0] index;    // receive queue index
  logic [15:0] behind;   // groups that must have retired before, free running
} rsp_flush_t;
localparam int RSP_FLUSH_W = 97;

// From retire to reply: a read to answer or an acknowledge to send.
typedef struct packed {
  logic        read;      // a read
  logic        replay;    // that was asked for before
  logic [15:0] qpn;       // queue pair
  logic [23:0] psn;       // first response PSN, or PSN of the acknowledge
  logic [7:0]  syndrome;  // acknowledge: AETH
  logic [23:0] msn;       // AETH
  logic [63:0] va;        // read: first byte
  logic [31:0] rkey;      // read: token
  logic [31:0] length;    // read: bytes
} rsp_reply_t;
localparam int RSP_REPLY_W = 202;

// Reads that reply has finished, per QP, counted modulo 32.
typedef struct packed {
  logic [4:0] replays;  // repeated ones
  logic [4:0] reads;    // first ones
} rsp_reads_t;
localparam int RSP_READS_W = 10;

// Payload bytes of a full packet.
function automatic logic [12:0] rsp_mtu_bytes(input logic [2:0] mtu);
  rsp_mtu_bytes = 13'd128 << mtu;
endfunction

`endif
