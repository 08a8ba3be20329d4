// rnic_cpl_timer: the local ACK timer and the RNR timer of every QP, from one turning wheel.
//
// One QP is looked at per cycle, each in turn, whatever they do: the cost does not depend on how many
// timers run. Nothing is started or stopped. A timer runs while the QP has outstanding messages, from
// the latest of: the last progress, the last return to an old packet, the last turn of the oldest
// message (rocev2 3.10); or, while the peer has no receive WQE, from its RNR NAK.
//
//   turn ─► tables, configuration (2 cycles) ─► elapsed? ─► m_expire
//
// An expiry carries the progress count that it was judged by, so that progress made meanwhile
// voids it. It is told again every turn until the walk has changed something. Time is counted in
// whole ticks, and one more is waited for than was asked for: never less than the time, and at most
// two ticks and a turn more.
`include "codes.svh"
`include "streams.svh"
`include "reliability.svh"

module rnic_cpl_timer #(
  parameter int QP_COUNT = 256,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                   clk,
  input  logic                   rst,

  // Cycles in 4.096 and in 10 microseconds; the time in these units
  input  logic [15:0]            ack_tick,
  input  logic [15:0]            rnr_tick,
  output logic [31:0]            ack_now,
  output logic [31:0]            rnr_now,

  // A packet of a QP's oldest message leaves; a new message is recorded
  input  logic                   sent_en,
  input  logic [QP_W-1:0]        sent_qpn,
  input  logic                   msg_en,
  input  logic [QP_W-1:0]        msg_qpn,
  input  logic [15:0]            msg_index,

  // What the walk knows; with `init`, a new life (then neither of the above comes)
  input  logic                   state_en,
  input  logic                   state_init,
  input  logic [QP_W-1:0]        state_qpn,
  input  logic [CPL_WATCH_W-1:0] state_data,

  // Configuration of a QP, two cycles after the number
  output logic [23:0]            qp_rd_qpn,
  input  logic [QP_CONFIG_W-1:0] qp_rd_cfg,

  // Timers that ran out
  output logic [15:0]            m_expire_qpn,
  output logic [15:0]            m_expire_count,
  output logic                   m_expire_valid,
  input  logic                   m_expire_ready
);

  // Time

  logic [15:0] ack_left_q;
  logic [15:0] rnr_left_q;

  always_ff @(posedge clk) begin
    ack_left_q <= ack_left_q - 1'b1;
    rnr_left_q <= rnr_left_q - 1'b1;
    if (ack_left_q <= 16'd1) begin
      ack_left_q <= ack_tick;
      ack_now    <= ack_now + 1'b1;
    end
    if (rnr_left_q <= 16'd1) begin
      rnr_left_q <= rnr_tick;
      rnr_now    <= rnr_now + 1'b1;
    end
    if (rst) begin
      ack_left_q <= '0;
      rnr_left_q <= '0;
      ack_now    <= '0;
      rnr_now    <= '0;
    end
  end

  // Tables

  logic [QP_W-1:0]        turn_q;
  logic [31:0]            touched;
  logic [15:0]            head;
  logic [CPL_WATCH_W-1:0] watch_bits;

  assign qp_rd_qpn = 24'(turn_q);

  ram_1w1r #(.DATA_W(32), .DEPTH(QP_COUNT)) u_touched (
    .clk,
    .wr_en   (sent_en || state_init),
    .wr_addr (sent_en ? sent_qpn : state_qpn),
    .wr_data (ack_now),
    .rd_en   (1'b1),
    .rd_addr (turn_q),
    .rd_data (touched)
  );

  ram_1w1r #(.DATA_W(16), .DEPTH(QP_COUNT)) u_head (
    .clk,
    .wr_en   (msg_en || state_init),
    .wr_addr (msg_en ? msg_qpn : state_qpn),
    .wr_data (msg_en ? msg_index + 16'd1 : 16'd0),
    .rd_en   (1'b1),
    .rd_addr (turn_q),
    .rd_data (head)
  );

  ram_1w1r #(.DATA_W(CPL_WATCH_W), .DEPTH(QP_COUNT)) u_watch (
    .clk,
    .wr_en   (state_en),
    .wr_addr (state_qpn),
    .wr_data (state_data),
    .rd_en   (1'b1),
    .rd_addr (turn_q),
    .rd_data (watch_bits)
  );

  // One QP per cycle: read, wait for the configuration, judge

  cpl_watch_t             watch;
  cpl_watch_t             watch_q;
  qp_config_t             cfg;
  logic [31:0]            touched_q;
  logic [15:0]            head_q;
  logic [QP_W-1:0]        one_q;
  logic [QP_W-1:0]        two_q;
  logic [31:0]            since_sent;
  logic [31:0]            since_moved;
  logic [31:0]            since;
  logic [31:0]            since_rnr;
  logic [31:0]            ack_time;
  logic [31:0]            rnr_time;
  logic                   outstanding;
  logic                   may_send;
  logic                   expired;

  assign watch       = watch_bits;
  assign cfg         = qp_rd_cfg;
  assign since_sent  = ack_now - touched_q;
  assign since_moved = ack_now - watch_q.moved;
  assign since       = since_sent < since_moved ? since_sent : since_moved;
  assign since_rnr   = rnr_now - watch_q.moved;
  assign ack_time    = 32'd1 << cfg.timeout;
  assign outstanding = head_q != watch_q.tail;
  assign may_send    = cfg.exists && (cfg.state == QP_STATE_RTS || cfg.state == QP_STATE_SQD);

  // RNR NAK codes in units of 10 microseconds (rocev2 1.8): 1, 2, 3, 4, 6, 8, 12, 16, ... and code 0.
  logic [4:0] code;

  assign code = watch_q.rnr_code;

  always_comb begin
    rnr_time = code[0] ? 32'd3 << (code[4:1] - 4'd1) : 32'd1 << code[4:1];
    if (code == 5'd1) rnr_time = 32'd1;
    if (code == 5'd0) rnr_time = 32'd65536;
  end

  assign expired = may_send && outstanding
                && (watch_q.rnr_wait ? since_rnr > rnr_time
                                     : cfg.timeout != '0 && since > ack_time);

  always_ff @(posedge clk) begin
    turn_q    <= turn_q == QP_W'(QP_COUNT - 1) ? '0 : turn_q + 1'b1;
    one_q     <= turn_q;
    two_q     <= one_q;
    touched_q <= touched;
    head_q    <= head;
    watch_q   <= watch;
    if (!m_expire_valid || m_expire_ready) begin
      m_expire_qpn   <= 16'(two_q);
      m_expire_count <= watch_q.count;
    end
    m_expire_valid <= (m_expire_valid && !m_expire_ready) || expired;
    if (rst) begin
      turn_q         <= '0;
      m_expire_valid <= 1'b0;
    end
  end

endmodule
