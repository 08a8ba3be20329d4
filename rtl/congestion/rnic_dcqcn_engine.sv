// rnic_dcqcn_engine: the state of limited queue pairs, and the arithmetic of DCQCN (rocev2 8.2).
//
//   visit ─► load ─► credit for the time since the last visit ─► what is due? ─► store ─► done
//                                                                │ ▲
//                            cut, alpha, byte counter, timer ◄───┘─┘   one multiplier for all
//
// One visit at a time, of about 12 cycles, and 6 to 9 more for each event. Whoever calls sees to it that a
// limited queue pair is visited again and again. Events take effect at a visit, so late by the time
// between two; timers and byte counter restart from when they were due, so they do not drift.
//
// Rates are Mbit/s with 8 fractional bits, alpha has 24. The clock counts 2048ths of 8 microseconds: so
// a rate times a time is bytes, shifted. Averages are rounded up, so that a rate reaches line rate.
`include "registers.svh"

module rnic_dcqcn_engine #(
  parameter int QP_COUNT  = 256,
  parameter int US_CYCLES = 250,
  parameter int QP_W      = $clog2(QP_COUNT)
) (
  input  logic                clk,
  input  logic                rst,

  // A visit; fresh: the queue pair was not limited so far; cnp: one came for it
  input  logic                visit_en,     // only while idle
  input  logic [QP_W-1:0]     visit_qpn,
  input  logic                visit_fresh,
  input  logic                visit_cnp,

  // Its end; free: the limiter lets go; open: no more is sent than may be
  output logic                done_en,
  output logic                done_free,
  output logic                done_open,

  // Bytes sent, one cycle behind the question; bytes that may be sent
  output logic                sent_rd_en,
  output logic [QP_W-1:0]     sent_rd_qpn,
  input  logic [31:0]         sent_rd,
  output logic                limit_en,
  output logic [QP_W-1:0]     limit_qpn,
  output logic [31:0]         limit,

  // Configuration
  input  logic                enable,       // 0: every visit frees
  input  dcqcn_line_reg_t     line,
  input  dcqcn_cut_reg_t      cut,
  input  dcqcn_monitor_reg_t  monitor,
  input  dcqcn_alpha_reg_t    alpha,
  input  dcqcn_timer_reg_t    timer,
  input  dcqcn_bytes_reg_t    bytes,
  input  dcqcn_increase_reg_t increase
);

  localparam int RATE_W  = 26;  // 18.8 Mbit/s
  localparam int ALPHA_W = 25;  // 1.24
  localparam int STAGE_W = 7;
  localparam int TIME_W  = 25;  // 131 ms
  localparam int SPAN_W  = 17;  // 512 microseconds: between two visits
  localparam int FRAC_W  = 19;  // of a byte

  // Ticks of the clock per cycle, with 16 fractional bits
  localparam int TICKS = (1 << 24) / US_CYCLES;
  localparam int CLOCK_W = TIME_W + 16;

  typedef struct packed {
    logic [RATE_W-1:0]  rate;         // RC
    logic [RATE_W-1:0]  target;       // RT
    logic [ALPHA_W-1:0] alpha;
    logic [STAGE_W-1:0] byte_stage;   // BC
    logic [STAGE_W-1:0] time_stage;   // TC
    logic [31:0]        limit;        // bytes that may be sent
    logic [FRAC_W-1:0]  frac;         // and a part of one more
    logic [31:0]        byte_from;    // bytes sent when the byte counter began
    logic [TIME_W-1:0]  time_from;    // when the timer began
    logic [TIME_W-1:0]  alpha_from;   // when the alpha timer began
    logic [TIME_W-1:0]  cut_at;       // the last cut
    logic [TIME_W-1:0]  seen_at;      // the last visit
  } flow_t;
  localparam int FLOW_W = 2*RATE_W + ALPHA_W + 2*STAGE_W + 64 + FRAC_W + 4*TIME_W;

  typedef enum logic [4:0] {
    IDLE, LOAD, CREDIT, SPEND, CAP, LOOK, CHOOSE, CUT, CUT_RATE, CUT_ALPHA, DECAY, DECAYED, BYTES,
    TIMER, GROW, HYPER, AVERAGE, FULL, STORE, FREE, MULTIPLY
  } state_e;

  // Time

  logic [CLOCK_W-1:0] clock_q;

  always_ff @(posedge clk) begin
    clock_q <= clock_q + CLOCK_W'(TICKS);
    if (rst) clock_q <= '0;
  end

  // One multiplier: operands are set in one state, the product is there two states later.

  logic [RATE_W-1:0] mul_a_q;
  logic [SPAN_W-1:0] mul_b_q;
  logic [42:0]       mul_q;

  always_ff @(posedge clk) mul_q <= 43'(mul_a_q) * 43'(mul_b_q);

  // Memory

  logic [FLOW_W-1:0] flow_read;
  flow_t             flow_q;
  state_e            state_q;
  logic [QP_W-1:0]   qpn_q;
  logic              store;

  assign store = state_q == STORE;

  ram_1w1r #(.DATA_W(FLOW_W), .DEPTH(QP_COUNT)) u_flows (
    .clk,
    .wr_en   (store),
    .wr_addr (qpn_q),
    .wr_data (flow_q),
    .rd_en   (visit_en),
    .rd_addr (visit_qpn),
    .rd_data (flow_read)
  );

  assign sent_rd_en  = visit_en;
  assign sent_rd_qpn = visit_qpn;

  // What a visit works on

  state_e            then_q;       // behind the multiplication
  logic              fresh_q;
  logic              cnp_q;
  logic [31:0]       sent_q;
  logic [TIME_W-1:0] now_q;
  flow_t             start;        // of a queue pair that was not limited
  logic [TIME_W-1:0] now;
  logic [RATE_W-1:0] line_rate;
  logic [RATE_W-1:0] min_rate;

  assign now       = clock_q[CLOCK_W-1 -: TIME_W];
  assign line_rate = {line.rate, 8'd0};
  assign min_rate  = {2'd0, cut.min_rate, 8'd0};

  always_comb begin
    start.rate       = line_rate;
    start.target     = line_rate;
    start.alpha      = {1'b1, {(ALPHA_W - 1){1'b0}}};
    start.byte_stage = '0;
    start.time_stage = '0;
    start.limit      = sent_rd;
    start.frac       = '0;
    start.byte_from  = sent_rd;
    start.time_from  = now;
    start.alpha_from = now;
    start.cut_at     = now;
    start.seen_at    = now;
  end

  // Credit

  logic [TIME_W-1:0]    elapsed;
  logic [SPAN_W-1:0]    span;
  logic [32+FRAC_W-1:0] credited;
  logic [31:0]          ahead;        // of what was sent
  logic                 saved_up;

  assign elapsed       = now_q - flow_q.seen_at;
  assign span          = elapsed[TIME_W-1:SPAN_W] != '0 ? '1 : elapsed[SPAN_W-1:0];
  assign credited      = {flow_q.limit, flow_q.frac} + (32 + FRAC_W)'(mul_q);
  assign ahead         = flow_q.limit - sent_q;
  assign saved_up      = !ahead[31] && ahead > 32'(monitor.burst);

  // What is due. A microsecond is 256 ticks. Found late by a whole period, it begins anew.

  logic [TIME_W-1:0] alpha_age;
  logic [TIME_W-1:0] time_age;
  logic [TIME_W-1:0] cut_age;
  logic [31:0]       byte_age;
  logic [TIME_W-1:0] alpha_period;
  logic [TIME_W-1:0] time_period;
  logic [TIME_W-1:0] cut_period;
  logic [31:0]       byte_period;
  logic              cut_due_q;
  logic              alpha_due_q;
  logic              time_due_q;
  logic              byte_due_q;
  logic              alpha_late_q;
  logic              time_late_q;
  logic              byte_late_q;

  assign alpha_age    = now_q - flow_q.alpha_from;
  assign time_age     = now_q - flow_q.time_from;
  assign cut_age      = now_q - flow_q.cut_at;
  assign byte_age     = sent_q - flow_q.byte_from;
  assign alpha_period = {1'b0, alpha.period, 8'd0};
  assign time_period  = {1'b0, timer.period, 8'd0};
  assign cut_period   = {1'b0, monitor.period, 8'd0};
  assign byte_period  = {1'b0, bytes.count};

  always_ff @(posedge clk) begin
    cut_due_q    <= cnp_q && (fresh_q || cut_age >= cut_period);
    alpha_due_q  <= alpha.period != '0 && alpha_age >= alpha_period;
    time_due_q   <= timer.period != '0 && time_age >= time_period;
    byte_due_q   <= bytes.count != '0 && byte_age >= byte_period;
    alpha_late_q <= alpha_age - alpha_period >= alpha_period;
    time_late_q  <= time_age - time_period >= time_period;
    byte_late_q  <= byte_age - byte_period >= byte_period;
  end

  // Cut: by half of alpha, in 2^17ths, but not by more than the factor allows

  logic [17:0]       most;
  logic [ALPHA_W-1:0] alpha_now;
  logic [16:0]       half_alpha;
  logic [16:0]       part;
  logic [RATE_W-1:0] cut_rate;
  logic [ALPHA_W-1:0] decayed;

  assign most       = {9'd256 - {1'b0, cut.min_factor}, 9'd0};
  assign alpha_now  = flow_q.alpha;
  assign half_alpha = alpha_now[ALPHA_W-1 -: 17];
  assign part       = {1'b0, half_alpha} > most ? most[16:0] : half_alpha;
  assign cut_rate   = flow_q.rate - mul_q[42:17];
  assign decayed    = flow_q.alpha - mul_q[ALPHA_W+9:10];

  // Increase

  logic [STAGE_W-1:0] stages;
  logic               bytes_on;     // BC > F
  logic               time_on;
  logic [STAGE_W-1:0] lower;
  logic [STAGE_W-1:0] beyond;
  logic [33:0]        raised;
  logic [RATE_W:0]    sum;

  assign stages   = timer.stages;
  assign bytes_on = flow_q.byte_stage > stages;
  assign time_on  = flow_q.time_stage > stages;
  assign lower    = flow_q.byte_stage < flow_q.time_stage ? flow_q.byte_stage : flow_q.time_stage;
  assign beyond   = lower - stages;
  assign raised   = 34'(flow_q.target)
                  + (state_q == HYPER ? {mul_q[25:0], 8'd0} : 34'({increase.additive, 8'd0}));
  assign sum      = {1'b0, flow_q.target} + {1'b0, flow_q.rate} + (RATE_W + 1)'(1);

  always_ff @(posedge clk) begin
    case (state_q)
      IDLE: if (visit_en) begin
        qpn_q   <= visit_qpn;
        fresh_q <= visit_fresh;
        cnp_q   <= visit_cnp;
        state_q <= LOAD;
      end

      LOAD: begin
        if (fresh_q) flow_q <= start;
        else         flow_q <= flow_read;
        sent_q <= sent_rd;
        now_q  <= now;
        if (enable) state_q <= CREDIT;
        else        state_q <= FREE;
      end

      CREDIT: begin
        mul_a_q <= flow_q.rate;
        mul_b_q <= span;
        then_q  <= SPEND;
        state_q <= MULTIPLY;
      end
      SPEND: begin
        flow_q.limit   <= credited[32+FRAC_W-1:FRAC_W];
        flow_q.frac    <= credited[FRAC_W-1:0];
        flow_q.seen_at <= now_q;
        state_q        <= CAP;
      end
      CAP: begin
        if (saved_up) begin
          flow_q.limit <= sent_q + 32'(monitor.burst);
          flow_q.frac  <= '0;
        end
        state_q <= LOOK;
      end

      // The ages are being compared.
      LOOK: state_q <= CHOOSE;
      CHOOSE: begin
        cnp_q <= 1'b0;
        if (cut_due_q)        state_q <= CUT;
        else if (alpha_due_q) state_q <= DECAY;
        else if (byte_due_q)  state_q <= BYTES;
        else if (time_due_q)  state_q <= TIMER;
        else                  state_q <= STORE;
      end

      CUT: begin
        flow_q.target <= flow_q.rate;
        mul_a_q       <= flow_q.rate;
        mul_b_q       <= part;
        then_q        <= CUT_RATE;
        state_q       <= MULTIPLY;
      end
      CUT_RATE: begin
        if (cut_rate < min_rate) flow_q.rate <= min_rate;
        else                     flow_q.rate <= cut_rate;
        mul_a_q <= RATE_W'(flow_q.alpha);
        mul_b_q <= SPAN_W'(alpha.gain);
        then_q  <= CUT_ALPHA;
        state_q <= MULTIPLY;
      end
      CUT_ALPHA: begin
        flow_q.alpha      <= decayed + ALPHA_W'({alpha.gain, 14'd0});
        flow_q.byte_stage <= '0;
        flow_q.time_stage <= '0;
        flow_q.byte_from  <= sent_q;
        flow_q.time_from  <= now_q;
        flow_q.alpha_from <= now_q;
        flow_q.cut_at     <= now_q;
        state_q           <= LOOK;
      end

      DECAY: begin
        if (alpha_late_q) flow_q.alpha_from <= now_q;
        else              flow_q.alpha_from <= flow_q.alpha_from + alpha_period;
        mul_a_q <= RATE_W'(flow_q.alpha);
        mul_b_q <= SPAN_W'(alpha.gain);
        then_q  <= DECAYED;
        state_q <= MULTIPLY;
      end
      DECAYED: begin
        flow_q.alpha <= decayed;
        state_q      <= LOOK;
      end

      BYTES: begin
        if (flow_q.byte_stage != '1) flow_q.byte_stage <= flow_q.byte_stage + 1'b1;
        if (byte_late_q) flow_q.byte_from <= sent_q;
        else             flow_q.byte_from <= flow_q.byte_from + byte_period;
        state_q <= GROW;
      end
      TIMER: begin
        if (flow_q.time_stage != '1) flow_q.time_stage <= flow_q.time_stage + 1'b1;
        if (time_late_q) flow_q.time_from <= now_q;
        else             flow_q.time_from <= flow_q.time_from + time_period;
        state_q <= GROW;
      end
      GROW: begin
        mul_a_q <= RATE_W'(increase.hyper);
        mul_b_q <= SPAN_W'(beyond);
        then_q  <= HYPER;
        state_q <= AVERAGE;
        if (bytes_on && time_on) state_q <= MULTIPLY;
        else if (bytes_on || time_on) begin
          if (raised > 34'(line_rate)) flow_q.target <= line_rate;
          else                         flow_q.target <= raised[RATE_W-1:0];
        end
      end
      HYPER: begin
        if (raised > 34'(line_rate)) flow_q.target <= line_rate;
        else                         flow_q.target <= raised[RATE_W-1:0];
        state_q <= AVERAGE;
      end
      AVERAGE: begin
        flow_q.rate <= sum[RATE_W:1];
        state_q     <= FULL;
      end
      FULL: begin
        if (flow_q.rate >= line_rate) state_q <= FREE;
        else                          state_q <= LOOK;
      end

      MULTIPLY: state_q <= then_q;
      default:  state_q <= IDLE;   // STORE, FREE
    endcase
    if (rst) state_q <= IDLE;
  end

  // A fresh limit is written long before anybody may look at it.
  assign limit_en  = store || (state_q == CREDIT && fresh_q);
  assign limit_qpn = qpn_q;
  assign limit     = flow_q.limit;

  assign done_en   = store || state_q == FREE;
  assign done_free = state_q == FREE;
  assign done_open = !ahead[31];

endmodule
