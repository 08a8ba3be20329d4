// rnic_tx_poison: which queue pairs send no more, as requester (bit 0) and as responder (bit 1).
//
// A responder's poison stays until the queue pair begins a new life. A requester's packet that fails
// stops the packets of its epoch: whoever has gone back is to try again. The first packet of a later
// epoch wipes that, so it is gone when the numbers of epochs come round. A local operation that fails
// is not tried again, so it stops every message behind it in every epoch, and none before it.
// Reads are combinational and see every earlier write. Setting goes before clearing.
`include "tx.svh"

module rnic_tx_poison #(
  parameter int QP_COUNT = 256
) (
  input  logic                   clk,

  // Read: is a packet stopped? `old`: what stopped packets of another epoch is still there
  input  logic [TX_TICKET_W-1:0] rd_a_ticket,
  output logic [1:0]             rd_a_bits,
  output logic                   rd_a_old,
  input  logic [TX_TICKET_W-1:0] rd_b_ticket,
  output logic [1:0]             rd_b_bits,

  // Set, or wipe that of another epoch, where `a` reads
  input  logic                   set_en,
  input  logic                   wipe_en,

  // Clear, when nothing is being set
  input  logic                   clear_en,
  input  logic [15:0]            clear_qpn
);

  localparam int QP_W = $clog2(QP_COUNT);

  typedef struct packed {
    logic        response;
    logic        local_op;  // `behind` is the first local operation that failed
    logic [15:0] behind;
    logic        request;
    logic [2:0]  epoch;     // of the packet that failed
  } poison_t;
  localparam int POISON_W = 22;

  logic [POISON_W-1:0] mem [QP_COUNT];

  tx_ticket_t  ticket_a;
  tx_ticket_t  ticket_b;
  poison_t     a;
  poison_t     b;
  poison_t     next;
  logic [15:0] qpn_a;
  logic [15:0] qpn_b;
  logic [15:0] past_a;
  logic [15:0] past_b;

  assign ticket_a = rd_a_ticket;
  assign ticket_b = rd_b_ticket;
  assign qpn_a    = ticket_a.qpn;
  assign qpn_b    = ticket_b.qpn;
  assign a        = mem[qpn_a[QP_W-1:0]];
  assign b        = mem[qpn_b[QP_W-1:0]];
  assign past_a   = ticket_a.msg_idx - a.behind;
  assign past_b   = ticket_b.msg_idx - b.behind;

  assign rd_a_bits = {a.response, (a.request && a.epoch == ticket_a.epoch)
                                  || (a.local_op && !past_a[15])};
  assign rd_b_bits = {b.response, (b.request && b.epoch == ticket_b.epoch)
                                  || (b.local_op && !past_b[15])};
  assign rd_a_old  = a.request && a.epoch != ticket_a.epoch;

  always_comb begin
    next = a;
    if (wipe_en) next.request = 1'b0;
    if (set_en && ticket_a.response) begin
      next.response = 1'b1;
    end else if (set_en && ticket_a.local_op) begin
      next.local_op = 1'b1;
      if (!a.local_op) next.behind = ticket_a.msg_idx;
    end else if (set_en) begin
      next.request = 1'b1;
      next.epoch   = ticket_a.epoch;
    end
  end

  always_ff @(posedge clk) begin
    if (set_en || wipe_en) mem[qpn_a[QP_W-1:0]]     <= next;
    else if (clear_en)     mem[clear_qpn[QP_W-1:0]] <= '0;
  end

endmodule
