// Records that travel between the blocks of rtl/rx only.
`ifndef RNIC_RX_SVH
`define RNIC_RX_SVH

// Who is told the end of a frame.
localparam logic [1:0] RX_SIDE_NONE = 2'd0;  // dropped behind its header: nobody
localparam logic [1:0] RX_SIDE_REQ  = 2'd1;  // the responder
localparam logic [1:0] RX_SIDE_RSP  = 2'd2;  // the completer

// What is known of a frame below BTH.
typedef struct packed {
  logic        vlan;
  logic        v4;
  logic        v6;
  logic        ip_bad;      // version or header length
  logic        fragment;
  logic        not_udp;
  logic        ce;
  logic [16:0] ip_end;      // end of the IP packet, from the start of the frame
  logic [16:0] udp_want;    // UDP length that IP implies
} rx_net_t;

// Why it may have to be dropped, found in the headers.
typedef struct packed {
  logic        checksum;
  logic        port;
  logic        length;      // IP and UDP disagree, or no multiple of four
  logic        no_bth;
  logic        tver;
  logic        not_served;  // transport class
  logic        no_room;     // for what the opcode needs
  logic        too_long;    // payload
} rx_check_t;

// What a segment's answer needs besides MemRsp.
typedef struct packed {
  logic        first;       // of its group
  logic        last;
  logic [5:0]  off;         // first: where the payload begins in its first beat
  logic [6:0]  beats;       // first: beats to consume
  logic [12:0] length;      // payload bytes
  logic [1:0]  fault;       // RxFault, should it be refused
  logic        again;       // a read that was answered before: its queue pair survives a refused key
  logic        word;        // writes a number, not payload
  logic [1:0]  atomic;      // AtomicOp
  logic [1:0]  side;        // RX_SIDE_*
  logic [15:0] qpn;         // queue pair
} rx_segment_t;
localparam int RX_SEGMENT_W = 52;

// The numbers of a segment that is a word or an atomic.
typedef struct packed {
  logic [63:0] swap;
  logic [63:0] compare;
} rx_number_t;
localparam int RX_NUMBER_W = 128;

// Eight bytes of memory to read, modify and write.
typedef struct packed {
  logic [1:0]  op;          // AtomicOp
  logic [63:0] addr;        // bus address, a multiple of 8
  logic [63:0] swap;
  logic [63:0] compare;
} rx_atomic_t;
localparam int RX_ATOMIC_W = 194;

// The lines a burst or an atomic touches; they lie in one 4 KiB page.
typedef struct packed {
  logic [51:0] page;
  logic [5:0]  first;
  logic [5:0]  last;
} rx_lines_t;

// What to do with the next payload bytes of a group.
typedef struct packed {
  logic        first;       // of its group
  logic        last;
  logic [5:0]  off;         // first: where the payload begins in its first beat
  logic [6:0]  beats;       // first: beats to consume
  logic [5:0]  lane;        // place of the first byte in its line
  logic [12:0] length;      // bytes
  logic        write;       // 0: pass over them
  logic        word;        // the bytes are those of `number`
  logic [63:0] number;      // turned to its place in 8 aligned bytes
} rx_move_t;
localparam int RX_MOVE_W = 100;

// What retire waits for; one per move.
typedef struct packed {
  logic        last;        // the frame ends
  logic        write;       // a write response belongs to it
  logic        atomic;      // the result of an atomic belongs to it
  logic [1:0]  fault;       // RxFault
} rx_record_t;
localparam int RX_RECORD_W = 5;

`endif
