// rnic_cnp: the notification point; answers marked packets with CNPs (rocev2 8.1).
//
//   mark ─► due ─► one CNP ─► m_pkt           rest: QPs in the order in which their CNP left
//            ▲                  └─► rest ──┐
//            └── may be marked again ◄─────┘  `interval` later
//
// Never holds the way in up: a queue pair is in at most one of the two FIFOs, and each is as long as the
// table. A mark counts if the QP is in neither, so there is at most one CNP per QP and interval,
// measured where they enter the transmit pipeline. A CNP that is due stays so until it is sent. All
// intervals are alike, so what went to rest first is first to wake up, and one clock will do.
//
// The drain answers when all that was due has left. Before a QP loses its address, nothing marks it
// any more and a drain has passed, so that no CNP goes to a stranger.
`include "codes.svh"
`include "registers.svh"
`include "streams.svh"
`include "wire.svh"

module rnic_cnp #(
  parameter int QP_COUNT  = 256,
  parameter int US_CYCLES = 250
) (
  input  logic                   clk,
  input  logic                   rst,

  // A good packet of this queue pair was marked
  input  logic                   mark_en,
  input  logic [15:0]            mark_qpn,

  // CNPs (TxPacket)
  output logic [TX_PACKET_W-1:0] m_pkt_data,
  output logic                   m_pkt_valid,
  input  logic                   m_pkt_ready,

  // Drain
  input  logic                   drain_req_en,
  output logic                   drain_done_en,

  // Configuration
  input  logic                   enable,
  input  logic [15:0]            interval,  // microseconds

  // Statistics
  output logic                   ev_cnp_en
);

  localparam int QP_W   = $clog2(QP_COUNT);
  localparam int TIME_W = 17;  // microseconds: an interval, and as much again to be late
  localparam int STEP_W = $clog2(US_CYCLES + 1);

  // Time

  logic [TIME_W-1:0] now_q;
  logic [STEP_W-1:0] step_q;
  logic              tick;

  assign tick = step_q == STEP_W'(US_CYCLES - 1);

  always_ff @(posedge clk) begin
    if (tick) step_q <= '0;
    else      step_q <= step_q + 1'b1;
    if (tick) now_q <= now_q + 1'b1;
    if (rst) begin
      step_q <= '0;
      now_q  <= '0;
    end
  end

  // Which queue pairs are due or at rest

  logic [QP_COUNT-1:0] busy_q;
  logic [QP_W-1:0]     marked;
  logic                accept;
  logic [QP_W-1:0]     awake;
  logic                wake;

  assign marked = mark_qpn[QP_W-1:0];
  assign accept = mark_en && enable && !busy_q[marked];

  always_ff @(posedge clk) begin
    if (wake)   busy_q[awake]  <= 1'b0;
    if (accept) busy_q[marked] <= 1'b1;
    if (rst) busy_q <= '0;
  end

  // Due

  logic [QP_W-1:0] sender;
  logic            sent;

  stream_fifo #(.DATA_W(QP_W), .DEPTH(QP_COUNT)) u_due (
    .clk,
    .rst,
    .s_data  (marked),
    .s_valid (accept),
    .s_ready (),
    .m_data  (sender),
    .m_valid (m_pkt_valid),
    .m_ready (m_pkt_ready),
    .count   ()
  );

  // PSN 0, no payload: the 16 reserved bytes are a header to the transmit pipeline
  tx_packet_t pkt;

  always_comb begin
    pkt          = '0;
    pkt.first    = 1'b1;
    pkt.last     = 1'b1;
    pkt.response = 1'b1;
    pkt.qpn      = 16'(sender);
    pkt.opcode   = OPCODE_CNP;
  end

  assign m_pkt_data = pkt;
  assign sent       = m_pkt_valid && m_pkt_ready;
  assign ev_cnp_en  = sent;

  // At rest, for the interval and the part of a microsecond that had passed when it began

  logic [TIME_W-1:0] since;
  logic [TIME_W-1:0] rested;
  logic              resting;

  stream_fifo #(.DATA_W(TIME_W + QP_W), .DEPTH(QP_COUNT)) u_rest (
    .clk,
    .rst,
    .s_data  ({now_q, sender}),
    .s_valid (sent),
    .s_ready (),
    .m_data  ({since, awake}),
    .m_valid (resting),
    .m_ready (wake),
    .count   ()
  );

  assign rested = now_q - since;
  assign wake   = resting && rested > {1'b0, interval};

  stream_drain u_drain (
    .clk,
    .rst,
    .enter_en (accept),
    .leave_en (sent),
    .drain_req_en,
    .drain_done_en
  );

endmodule
