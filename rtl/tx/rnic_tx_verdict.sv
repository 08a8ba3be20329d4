// rnic_tx_verdict: decides, packet by packet in order, what is sent and what is reported.
//
// A packet that failed poisons its queue pair; later packets of it are dropped without a word,
// so that no acknowledge passes a response that was not sent; the NAK for it, and CNPs, go. The
// failed packet, and every local operation, leave a result. A response of a read that was answered
// before may find its key taken back since: it is dropped, nothing else. So is a request that is
// stale, because it will be sent again. `drop` answers in the same cycle. The rest of the pipeline
// starts a packet only while `result_room` is up.
`include "streams.svh"
`include "codes.svh"
`include "tx.svh"
`include "assert.svh"

module rnic_tx_verdict (
  input  logic                   clk,
  input  logic                   rst,

  // A packet ends
  input  logic [TX_TICKET_W-1:0]   end_ticket,
  input  logic [1:0]             end_fault,
  input  logic                   end_bad,
  input  logic                   end_en,
  output logic                   end_drop,

  // Poison of its queue pair
  output logic [TX_TICKET_W-1:0] poison_ticket,
  input  logic [1:0]             poison,
  input  logic                   poison_old,
  output logic                   poison_set_en,
  output logic                   poison_wipe_en,

  // Results
  output logic                   result_room,
  output logic                   results_empty,
  output logic [TX_RESULT_W-1:0] m_result_data,
  output logic                   m_result_valid,
  input  logic                   m_result_ready,

  // Statistics
  output logic                   ev_aborted,
  output logic                   ev_stale,
  output logic                   ev_dma_error,
  output logic                   ev_ack,
  output logic                   ev_rnr_nak,
  output logic                   ev_nak
);

  localparam int DEPTH = 16;
  localparam int SLACK = 8;  // more than the packets that can be between start and end

  tx_ticket_t ticket;
  tx_result_t result;
  logic       request;
  logic       stale;
  logic       poisoned;
  logic       fails;        // and somebody is told
  logic       report;
  logic       result_ready;

  logic [$clog2(DEPTH):0] waiting;

  assign ticket        = end_ticket;
  assign poison_ticket = end_ticket;
  assign request    = !ticket.response && !ticket.local_op;
  assign stale      = request && end_bad && end_fault == TX_FAULT_STALE;
  assign poisoned   = ticket.response ? poison[1] && !ticket.exempt : poison[0] && request;
  assign end_drop   = end_bad || poisoned;
  assign fails      = end_bad && !stale && !(ticket.again && end_fault == TX_FAULT_KEY);
  assign report     = end_en && !poisoned && (fails || ticket.local_op);

  assign poison_set_en  = end_en && fails && !poisoned;
  assign poison_wipe_en = end_en && request && poison_old && !stale;

  always_comb begin
    result.status = CQE_STATUS_SUCCESS;
    if (end_bad && end_fault == TX_FAULT_KEY && !ticket.local_op)
      result.status = CQE_STATUS_LOC_PROT_ERR;
    else if (end_bad)
      result.status = CQE_STATUS_LOC_QP_OP_ERR;
    result.psn      = ticket.psn;
    result.msg_idx  = ticket.msg_idx;
    result.local_op = ticket.local_op;
    result.response = ticket.response;
    result.qpn      = ticket.qpn;
  end

  stream_fifo #(.DATA_W(TX_RESULT_W), .DEPTH(DEPTH)) u_results (
    .clk, .rst,
    .s_data  (result),
    .s_valid (report),
    .s_ready (result_ready),
    .m_data  (m_result_data),
    .m_valid (m_result_valid),
    .m_ready (m_result_ready),
    .count   (waiting)
  );

  assign result_room   = waiting < ($clog2(DEPTH) + 1)'(DEPTH - SLACK);
  assign results_empty = waiting == '0;

  assign ev_aborted   = end_en && end_drop && !stale;
  assign ev_stale     = end_en && stale;
  assign ev_dma_error = end_en && end_bad && end_fault == TX_FAULT_BUS;
  assign ev_ack       = end_en && !end_drop && ticket.ack_class == TX_CLASS_ACK;
  assign ev_rnr_nak   = end_en && !end_drop && ticket.ack_class == TX_CLASS_RNR;
  assign ev_nak       = end_en && !end_drop && ticket.ack_class == TX_CLASS_NAK;

  `RNIC_ASSERT(results_have_room, !report || result_ready)

endmodule
