// Records between the stages of rnic_tx_segment: a block that was looked at, and a decided message.

`ifndef RNIC_SEGMENT_SVH
`define RNIC_SEGMENT_SVH

`include "layouts.svh"
`include "streams.svh"

// A send queue block, the facts of its QP, and what it means if it is the head of an entry.
typedef struct packed {
  logic [15:0]  qpn;
  logic [15:0]  index;
  logic         error;      // the host did not deliver it
  logic [511:0] data;
  logic         alive;      // the QP is in RTS or above
  logic         flush;      // ERR
  logic         drain;      // SQD
  logic [15:0]  pd;
  logic [2:0]   path_mtu;
  logic [4:0]   max_reads;
  logic [15:0]  msg_tail;   // SqProgress
  logic [15:0]  reads_done;
  logic [15:0]  count;
  logic         rnr_wait;
  logic [15:0]  sq_tail;
  logic [23:0]  psn;
  logic [23:0]  una;
  logic         limited;
  logic [23:0]  limit;
  logic         held;       // the rate limiter holds the QP
  logic         rewind;     // no block: the completer sends the QP back
  logic         framed;     // it is a head, and where the entry ends is known
  logic         bad_op;
  logic         bad_len;
  logic         is_read;    // READ or atomic: counts against the read limit
  logic         is_local;   // no packet leaves
  logic         is_inline;  // with at least one byte
  logic [23:0]  psns;       // packet sequence numbers it takes
  logic [33:0]  sum_head;   // bytes of a head's two SGEs that count
  logic [31:0]  sum_1;      // bytes of a further block's first SGE, first two, three, all four
  logic [32:0]  sum_2;
  logic [33:0]  sum_3;
  logic [33:0]  sum_4;
} seg_block_t;
localparam int SEG_BLOCK_W = 16 + 16 + 1 + 512 + 3 + 16 + 3 + 5 + 48 + 1 + 16 + 48 + 25 + 2
                           + 6 + 24 + 34 + 32 + 33 + 68;

// The send context of a QP. Messages before `high_msgs` were started before: they have records and
// packet sequence numbers, and are sent (again) as they were.
typedef struct packed {
  logic [2:0]   epoch;      // how often it has gone back, modulo 8
  logic         stopped;    // a bad entry was met
  logic [15:0]  stop_msg;   // it became this message
  logic [23:0]  run;        // PSNs since nothing was outstanding
  logic         resuming;   // the next packet is `resume`, inside or behind the next message
  logic [23:0]  resume;
  logic [15:0]  reads;      // reads and atomics before the next message
  logic [15:0]  msgs;       // messages before it
  logic [15:0]  want;       // its first block
  logic [23:0]  psn;        // its first PSN
  logic [15:0]  high_reads; // the same for the first message that was never started
  logic [15:0]  high_msgs;
  logic [15:0]  high_want;
  logic [23:0]  high_psn;
  logic [23:0]  sent;       // behind the newest packet that was ever sent
  logic [23:0]  ssn;        // number of the first message that was never started (rocev2 3.7)
  logic         limited;    // the peer counts its receive WQEs:
  logic [23:0]  lsn;        // it has one for every message up to this number, as far as is known
} seg_context_t;
localparam int SEG_CONTEXT_W = 3 + 17 + 24 + 25 + 72 + 72 + 24 + 49;

// A message whose fate is decided; its SGEs beyond the first are in a bank of the walker.
typedef struct packed {
  logic [15:0]  qpn;
  logic [2:0]   kind;       // MsgKind
  logic [7:0]   status;     // kind BAD
  logic [511:0] head;       // its first block
  logic         bank;
  logic         is_inline;
  logic [5:0]   slot;       // of the inline buffer
  logic [15:0]  msg_idx;
  logic [3:0]   read_slot;
  logic [23:0]  psn;        // first
  logic [23:0]  psns;
  logic [15:0]  sq_first;
  logic [15:0]  sq_next;
  logic [15:0]  pd;
  logic [2:0]   path_mtu;
  logic         replay;     // it has its records
  logic         oldest;     // nothing before it is outstanding
  logic [23:0]  skip;       // packets not to be sent
  logic [23:0]  sent;       // packets before this one were sent before
  logic [SEG_CONTEXT_W-1:0] context_after;
} seg_job_t;
localparam int SEG_JOB_W = 16 + 3 + 8 + 512 + 1 + 1 + 6 + 16 + 4 + 24 + 24 + 16 + 16 + 16 + 3
                         + 50 + SEG_CONTEXT_W;

// A message whose rest is left for another turn.
typedef struct packed {
  logic [15:0]  qpn;
  logic         paced;      // because of the rate limiter
  logic [15:0]  count;      // SqProgress
  logic [SEG_CONTEXT_W-1:0] context_back;
} seg_yield_t;
localparam int SEG_YIELD_W = 33 + SEG_CONTEXT_W;

`endif
