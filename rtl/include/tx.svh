// Records between the stages of the transmit pipeline; nothing outside rtl/tx sees them.
`ifndef RNIC_TX_SVH
`define RNIC_TX_SVH

// Why a packet cannot be sent.
localparam logic [1:0] TX_FAULT_NONE = 2'd0;
localparam logic [1:0] TX_FAULT_KEY  = 2'd1;  // the key check refused it
localparam logic [1:0] TX_FAULT_BUS  = 2'd2;  // host memory did not deliver
localparam logic [1:0] TX_FAULT_STALE = 2'd3; // the queue pair has been sent back since: nothing is wrong

// What statistics count an acknowledge as.
localparam logic [1:0] TX_CLASS_OTHER = 2'd0;
localparam logic [1:0] TX_CLASS_ACK   = 2'd1;
localparam logic [1:0] TX_CLASS_RNR   = 2'd2;
localparam logic [1:0] TX_CLASS_NAK   = 2'd3;

// Whose packet it is: what a result says, and how poison treats it.
typedef struct packed {
  logic [1:0]  ack_class;  // for statistics
  logic        exempt;     // the NAK for a failed response, or a CNP, which poison does not stop
  logic        again;      // of a read that was answered before: its key may be gone, nobody is told
  logic        local_op;   // a result is due in any case
  logic        response;
  logic [23:0] psn;
  logic [2:0]  epoch;      // of a request
  logic [15:0] msg_idx;
  logic [15:0] qpn;
} tx_ticket_t;
localparam int TX_TICKET_W = 65;

// One payload segment whose bytes are on their way to the landing buffer, or in the inline buffer.
typedef struct packed {
  tx_ticket_t  ticket;
  logic [1:0]  fault;      // of a bad segment
  logic        bad;        // nothing comes for it; the packet is dropped
  logic        frame;      // the packet has a header
  logic        inl;        // bytes are in the inline buffer
  logic [5:0]  slot;       // where there
  logic [5:0]  off;        // first byte in its first line
  logic [12:0] len;        // bytes
  logic        last;
  logic        first;
} tx_segment_t;
localparam int TX_SEGMENT_W = 97;

// The measures of a frame, known before its header is built.
typedef struct packed {
  logic        v6;
  logic        vlan;
  logic [6:0]  beats;      // of the whole frame
  logic [12:0] bytes;      // of the whole frame, ICRC included
  logic [6:0]  hdr;        // bytes of all headers
} tx_frame_t;
localparam int TX_FRAME_W = 29;

// One cycle of the align stage: append a piece of a line, hand out a beat, end a packet; or less.
typedef struct packed {
  tx_ticket_t  ticket;     // done: whose
  logic [1:0]  fault;      // done: why it is bad
  logic        bad;        // done: not to be sent
  logic        done;       // the packet ends here
  logic        v6;         // start: layout, for the ICRC
  logic        vlan;       // start: layout, for the ICRC
  logic [6:0]  beats;      // last: beats that were reserved for the frame
  logic [5:0]  covered;      // icrc: bytes of this beat in front of the ICRC
  logic        icrc;       // the ICRC starts in this beat
  logic [6:0]  count;      // bytes of this beat
  logic        last;       // the beat ends the frame
  logic        emit;       // a beat is complete
  logic        start;      // first step of a frame: its header is merged
  logic [5:0]  rot;        // bytes to rotate the line up
  logic [6:0]  size;       // take: bytes of the line
  logic [6:0]  pos;        // take: where they go, from the current beat's first byte
  logic        inl;        // take: the line comes from the inline buffer
  logic        take;       // a line is used
} tx_step_t;
localparam int TX_STEP_W = 117;

`endif
