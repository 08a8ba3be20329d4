// What travels between the stages of rnic_mem_check; nobody else sees it.
`ifndef RNIC_MEM_STEPS_SVH
`define RNIC_MEM_STEPS_SVH

// A checked request: what it moves, and where the page list has the addresses.
typedef struct packed {
  logic        ok;         // rights granted, or none needed
  logic        list;       // addr0 and addr1 are offsets in pages of the list, not yet bus addresses
  logic        two;        // list: the second piece begins the page behind
  logic        ahead;      // list: the line behind the one used last is wanted soon
  logic [60:0] entry;      // list: the first page's entry, in units of 8 bytes
  logic [57:0] next_line;  // list: line behind the one that holds it
  logic [63:0] addr0;
  logic [12:0] len0;
  logic [63:0] addr1;
  logic [12:0] len1;
} mem_walk_t;
localparam int MEM_WALK_W = 277;

// A checked request with one line of the page list, in cache or on its way. A request across two
// pages is two steps; only the last one answers.
typedef struct packed {
  logic        ok;
  logic        list;
  logic        miss;       // the next line from the host is this step's
  logic        ahead;      // only for the line: no answer
  logic        more;       // the second page follows
  logic        second;     // this is the second page
  logic [2:0]  entry;      // place in the line
  logic [63:0] addr0;
  logic [12:0] len0;
  logic [63:0] addr1;
  logic [12:0] len1;
} mem_step_t;
localparam int MEM_STEP_W = 163;

`endif
