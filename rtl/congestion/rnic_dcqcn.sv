// rnic_dcqcn: the reaction point; a rate limiter per queue pair (rocev2 8.2).
//
//   cnp ─► new ───┐
//                 ├─► visit (engine) ─┬─► ring, while it is limited
//         ring ───┘                   ├─► out of the list, once it is free
//           ▲─────────────────────────┘─► hold falls, kick
//   sent ─► meter ─► hold rises
//
// A CNP limits its queue pair; from then on it goes round the ring until its rate is line rate again.
// Each round gives it bytes to send for the time that has passed. When it has sent more, `hold` rises,
// four cycles behind the packet that did it; when it may go on, `hold` falls and then a kick leaves: a
// sender that sees `hold` and goes to sleep in the same step cannot miss it. It runs ahead of its rate by
// no more than `burst` and the packets of those four cycles, and pays them back. A round of n limited
// queue pairs takes about 16 n cycles. Without limited queue pairs nothing is held and nothing runs.
//
// What counts is requests: read responses are paced by the peer's reads.
`include "registers.svh"
`include "streams.svh"
`include "assert.svh"

module rnic_dcqcn #(
  parameter int QP_COUNT  = 256,
  parameter int US_CYCLES = 250
) (
  input  logic                clk,
  input  logic                rst,

  // A CNP, or BECN, came for this queue pair
  input  logic                cnp_en,
  input  logic [15:0]         cnp_qpn,

  // A request packet leaves the requester, with so much payload
  input  logic                sent_en,
  input  logic [15:0]         sent_qpn,
  input  logic [12:0]         sent_bytes,

  // May this queue pair send now? 1: no. Two cycles later
  input  logic [1:0][15:0]    pace_rd_qpn,
  output logic [1:0]          pace_rd_hold,

  // Queue pairs that may send again
  output logic [15:0]         m_kick_data,
  output logic                m_kick_valid,
  input  logic                m_kick_ready,

  // Context reset (QpInit)
  input  logic [QP_INIT_W-1:0] init_data,
  input  logic                init_valid,
  output logic                init_ready,

  // Configuration
  input  logic                enable,
  input  dcqcn_line_reg_t     line,
  input  dcqcn_cut_reg_t      cut,
  input  dcqcn_monitor_reg_t  monitor,
  input  dcqcn_alpha_reg_t    alpha,
  input  dcqcn_timer_reg_t    timer,
  input  dcqcn_bytes_reg_t    bytes,
  input  dcqcn_increase_reg_t increase
);

  localparam int QP_W = $clog2(QP_COUNT);

  typedef enum logic [2:0] {PICK, START, VISIT, SETTLE, KICK, FILE, FORGET} state_e;

  // All flags are written for qpn_q only, but for what rises by itself.
  state_e              state_q;
  logic [QP_W-1:0]     qpn_q;
  logic                limited;
  logic                notified;
  logic [QP_COUNT-1:0] limited_q;
  logic [QP_COUNT-1:0] listed_q;   // in `new`, in the ring, or being visited
  logic [QP_COUNT-1:0] cnp_q;      // one came since the last visit
  logic [QP_COUNT-1:0] hold_q;

  // CNPs: whoever is in no list enters `new`

  logic [QP_W-1:0] notify_qpn;
  logic            notify;

  assign notify_qpn = cnp_qpn[QP_W-1:0];
  assign notify     = cnp_en && enable;
  assign limited    = limited_q[qpn_q];
  assign notified   = cnp_q[qpn_q];

  // Whose turn

  logic            new_valid;
  logic [QP_W-1:0] new_qpn;
  logic            ring_valid;
  logic [QP_W-1:0] ring_qpn;
  logic            pick;
  logic            again;

  assign pick  = state_q == PICK && !init_valid && (new_valid || ring_valid);
  assign again = state_q == FILE && (limited || notified || (notify && notify_qpn == qpn_q));

  stream_fifo #(.DATA_W(QP_W), .DEPTH(QP_COUNT)) u_new (
    .clk,
    .rst,
    .s_data  (notify_qpn),
    .s_valid (notify && !listed_q[notify_qpn]),
    .s_ready (),
    .m_data  (new_qpn),
    .m_valid (new_valid),
    .m_ready (pick),
    .count   ()
  );

  stream_fifo #(.DATA_W(QP_W), .DEPTH(QP_COUNT)) u_ring (
    .clk,
    .rst,
    .s_data  (qpn_q),
    .s_valid (again),
    .s_ready (),
    .m_data  (ring_qpn),
    .m_valid (ring_valid),
    .m_ready (pick && !new_valid),
    .count   ()
  );

  // Visit. One that lost its context in the list is neither limited nor notified: it only leaves.

  logic            start;
  logic            over_en;
  logic [QP_W-1:0] over_qpn;
  logic            done_en;
  logic            done_free;
  logic            done_open;
  logic            sent_rd_en;
  logic [QP_W-1:0] sent_rd_qpn;
  logic [31:0]     sent_rd;
  logic            limit_en;
  logic [QP_W-1:0] limit_qpn;
  logic [31:0]     limit;

  assign start = state_q == START && (limited || notified);

  rnic_dcqcn_engine #(
    .QP_COUNT  (QP_COUNT),
    .US_CYCLES (US_CYCLES)
  ) u_engine (
    .clk,
    .rst,
    .visit_en    (start),
    .visit_qpn   (qpn_q),
    .visit_fresh (!limited),
    .visit_cnp   (notified),
    .done_en,
    .done_free,
    .done_open,
    .sent_rd_en,
    .sent_rd_qpn,
    .sent_rd,
    .limit_en,
    .limit_qpn,
    .limit,
    .enable,
    .line,
    .cut,
    .monitor,
    .alpha,
    .timer,
    .bytes,
    .increase
  );

  rnic_dcqcn_meter #(
    .QP_COUNT (QP_COUNT)
  ) u_meter (
    .clk,
    .rst,
    .sent_en,
    .sent_qpn (sent_qpn[QP_W-1:0]),
    .sent_bytes,
    .over_en,
    .over_qpn,
    .rd_en    (sent_rd_en),
    .rd_qpn   (sent_rd_qpn),
    .rd_sent  (sent_rd),
    .limit_en,
    .limit_qpn,
    .limit
  );

  // A limiter that let go may see `hold` rise once more in that cycle: SETTLE looks after it.

  logic            free_q;
  logic            open_q;
  logic            fall;
  logic            forget;
  qp_init_t        init;
  logic [15:0]     init_qpn;

  assign fall       = state_q == SETTLE && hold_q[qpn_q] && (free_q || open_q);
  assign init       = init_data;
  assign init_qpn   = init.qpn;
  assign init_ready = state_q == FORGET;
  assign forget     = init_ready && init.op != QP_INIT_OP_RQ_CREATE;

  always_ff @(posedge clk) begin
    case (state_q)
      PICK: begin
        if (init_valid)     qpn_q <= init_qpn[QP_W-1:0];
        else if (new_valid) qpn_q <= new_qpn;
        else                qpn_q <= ring_qpn;
        if (init_valid) state_q <= FORGET;
        else if (pick)  state_q <= START;
      end
      START: begin
        if (start) state_q <= VISIT;
        else       state_q <= FILE;
      end
      VISIT: if (done_en) begin
        free_q  <= done_free;
        open_q  <= done_open;
        state_q <= SETTLE;
      end
      SETTLE: begin
        if (fall) state_q <= KICK;
        else      state_q <= FILE;
      end
      KICK:    if (m_kick_ready) state_q <= FILE;
      default: state_q <= PICK;
    endcase

    if ((state_q == VISIT && done_en) || forget)  limited_q[qpn_q] <= !done_free && !forget;
    if (fall || forget)                           hold_q[qpn_q]    <= 1'b0;
    if (start || forget)                          cnp_q[qpn_q]     <= 1'b0;
    if (state_q == FILE && !again)                listed_q[qpn_q]  <= 1'b0;
    if (over_en && limited_q[over_qpn]) hold_q[over_qpn] <= 1'b1;
    if (notify) begin
      cnp_q[notify_qpn]    <= 1'b1;
      listed_q[notify_qpn] <= 1'b1;
    end
    if (rst) begin
      state_q   <= PICK;
      limited_q <= '0;
      listed_q  <= '0;
      cnp_q     <= '0;
      hold_q    <= '0;
    end
  end

  assign m_kick_data  = 16'(qpn_q);
  assign m_kick_valid = state_q == KICK;

  // Look up

  logic [1:0][15:0] asked_q;

  for (genvar i = 0; i < 2; i++) begin : g_pace
    logic [QP_W-1:0] qpn;

    assign qpn = asked_q[i][QP_W-1:0];

    always_ff @(posedge clk) begin
      asked_q[i]      <= pace_rd_qpn[i];
      pace_rd_hold[i] <= hold_q[qpn];
    end
  end

  `RNIC_ASSERT(who_is_held_is_in_the_list, !(over_en && limited_q[over_qpn]) || listed_q[over_qpn])

endmodule
