// rnic_rsp_events: asynchronous events of the responder: COMM_EST and LAST_WQE_REACHED.
//
// One bit per queue pair and kind, scanned one number per cycle, so nobody waits and no event is
// lost, however slow the event queue is. LAST_WQE_REACHED follows the completions of its queue
// pair: it is told when `cqes_left` says that all that had been made were handed on.
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
  logic                free;
  logic                tell_established;
  logic                tell_reached;
  event_req_t          request;

  assign free             = !valid_q || m_event_ready;
  assign tell_established = free && established_q[scan_q];
  assign tell_reached     = free && !established_q[scan_q] && reached_q[scan_q] && cqes_left;

  always_ff @(posedge clk) begin
    if (free) begin
      scan_q  <= scan_q + QP_W'(!established_q[scan_q]);
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
