// rnic_rsp_events: asynchronous events of the responder: COMM_EST and LAST_WQE_REACHED.
//
// One bit per queue pair and kind, scanned one number per cycle, so nobody waits and no event is
// lost, however slow the event queue is. LAST_WQE_REACHED follows the completions of its queue
// pair into host memory: when all that were made are handed on (`cqes_left`), the entries that the
// completion queues had begun by then are noted, and it is told when those are answered.
`include "responder.svh"
`include "codes.svh"

module rnic_rsp_events #(
  parameter int QP_COUNT = 256,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                   clk,
  input  logic                   rst,

  // What happened
  input  logic                   established_en,
  input  logic [QP_W-1:0]        established_qpn,
  input  logic                   reached_en,
  input  logic [QP_W-1:0]        reached_qpn,
  input  logic                   cqes_left,

  // Completion entries begun and answered, free running; one may be about to begin
  input  logic [15:0]            cqes_begun,
  input  logic [15:0]            cqes_answered,
  input  logic                   cqes_beginning,

  // A new life
  input  logic                   init_en,
  input  logic [QP_W-1:0]        init_qpn,

  // Events
  output logic [EVENT_REQ_W-1:0] m_event_data,
  output logic                   m_event_valid,
  input  logic                   m_event_ready
);

  logic [QP_COUNT-1:0] established_q;
  logic [QP_COUNT-1:0] reached_q;
  logic [QP_W-1:0]     scan_q;
  logic                valid_q;
  logic [7:0]          kind_q;
  logic [QP_W-1:0]     qpn_q;
  logic                noted_q;   // for the number scanned, which stays until it is told
  logic [15:0]         target_q;
  logic [15:0]         missing;
  logic                written_q;
  logic                written;   // what was noted is in host memory
  logic                free;
  logic                reached;
  logic                note;
  logic                stays;
  logic                tell_established;
  logic                tell_reached;
  event_req_t          request;

  assign free             = !valid_q || m_event_ready;
  assign tell_established = free && established_q[scan_q];
  assign reached          = !established_q[scan_q] && reached_q[scan_q];
  assign missing          = target_q - cqes_answered;
  assign note             = reached && !noted_q && cqes_left && !cqes_beginning;
  assign written          = noted_q && (written_q || missing == '0 || missing[15]);
  assign tell_reached     = free && reached && written;
  assign stays            = established_q[scan_q] || note || (reached && noted_q && !tell_reached);

  always_ff @(posedge clk) begin
    noted_q   <= note || (reached && noted_q && !tell_reached);
    written_q <= reached && written && !tell_reached;
    if (note) target_q <= cqes_begun;
    if (free) begin
      scan_q  <= scan_q + QP_W'(!stays);
      valid_q <= tell_established || tell_reached;
      kind_q  <= tell_established ? EVENT_TYPE_COMM_EST : EVENT_TYPE_LAST_WQE_REACHED;
      qpn_q   <= scan_q;
    end
    if (tell_established) established_q[scan_q] <= 1'b0;
    if (tell_reached)     reached_q[scan_q] <= 1'b0;
    if (established_en)   established_q[established_qpn] <= 1'b1;
    if (reached_en)       reached_q[reached_qpn] <= 1'b1;
    if (init_en) begin
      established_q[init_qpn] <= 1'b0;
      reached_q[init_qpn]     <= 1'b0;
    end
    if (rst) begin
      established_q <= '0;
      reached_q     <= '0;
      scan_q        <= '0;
      valid_q       <= 1'b0;
      noted_q       <= 1'b0;
      written_q     <= 1'b0;
    end
  end

  always_comb begin
    request            = '0;
    request.event_type = kind_q;
    request.number     = 24'(qpn_q);
  end

  assign m_event_data  = request;
  assign m_event_valid = valid_q;

endmodule
