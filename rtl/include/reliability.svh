// What the walk tells the timers of a QP.

`ifndef RNIC_RELIABILITY_SVH
`define RNIC_RELIABILITY_SVH

typedef struct packed {
  logic [15:0] tail;       // oldest outstanding message
  logic [15:0] count;      // SqProgress
  logic        rnr_wait;   // the RNR timer runs, not the ACK timer
  logic [4:0]  rnr_code;
  logic [31:0] moved;      // time of the last progress or return; of the RNR NAK
} cpl_watch_t;
localparam int CPL_WATCH_W = 70;

`endif
