// rnic_qp_table: configuration and state of every queue pair, and of every receive ring.
//
// The only writer of QpConfig and RqConfig: rnic_admin changes them, and a pipeline that met a
// fatal error asks for ERR. On the way to ERR the new state is readable before the flush
// messages leave. Every reader has a copy of its own and gets an answer to every number, two
// cycles later; a number that is not in use reads as exists = 0, state = RESET.
//
//   s_write ─────────────────┐
//   s_error[n] ─► state ok? ─┴─► tables ─► rd_cfg[n]
//                  └─► m_flush (queue, completer, responder), m_event (asynchronous, EQ 0)
`include "streams.svh"
`include "codes.svh"

module rnic_qp_table #(
  parameter int QP_COUNT = 256,
  parameter int RQ_COUNT = 320,
  parameter int READERS  = 8,
  parameter int RQ_READERS = 2,
  parameter int ERRORS   = 4
) (
  input  logic                                clk,
  input  logic                                rst,
  output logic                                ready,

  // Changes by rnic_admin
  input  logic [QP_WRITE_W-1:0]               s_write_data,
  input  logic                                s_write_valid,
  output logic                                s_write_ready,
  input  logic [RQ_WRITE_W-1:0]               s_rq_data,
  input  logic                                s_rq_valid,
  output logic                                s_rq_ready,

  // QPs that must go to ERR
  input  logic [ERRORS-1:0][QP_ERROR_W-1:0]   s_error_data,
  input  logic [ERRORS-1:0]                   s_error_valid,
  output logic [ERRORS-1:0]                   s_error_ready,

  // Readers
  input  logic [READERS-1:0][23:0]            rd_qpn,
  output logic [READERS-1:0][QP_CONFIG_W-1:0] rd_cfg,
  input  logic [RQ_READERS-1:0][15:0]         rq_rd_id,
  output logic [RQ_READERS-1:0][RQ_CONFIG_W-1:0] rq_rd_cfg,

  // Word of a QP that went to ERR
  output logic [15:0]                         m_flush_data,
  output logic [2:0]                          m_flush_valid,
  input  logic [2:0]                          m_flush_ready,
  output logic [EVENT_REQ_W-1:0]              m_event_data,
  output logic                                m_event_valid,
  input  logic                                m_event_ready,

  // Events
  output logic                                ev_qp_error_en
);

  localparam int QP_W = $clog2(QP_COUNT);
  localparam int RQ_W = $clog2(RQ_COUNT);
  localparam int SWEEP_W = RQ_W > QP_W ? RQ_W : QP_W;

  // ------------------------------------------------------------------ sweep after reset

  logic [SWEEP_W:0] sweep_q;
  logic             sweep;

  assign sweep = sweep_q != (SWEEP_W + 1)'(1 << SWEEP_W);
  assign ready = !sweep;

  always_ff @(posedge clk) begin
    if (sweep) sweep_q <= sweep_q + 1'b1;
    if (rst) sweep_q <= '0;
  end

  // ------------------------------------------------------------------ changes by rnic_admin

  qp_write_t  write;
  qp_config_t write_cfg;
  rq_write_t  rq_write;
  rq_config_t rq_write_cfg;

  assign write        = s_write_data;
  assign write_cfg    = write.cfg;
  assign rq_write     = s_rq_data;
  assign rq_write_cfg = rq_write.cfg;

  // ------------------------------------------------------------------ errors

  typedef enum logic [2:0] {TAKE, READ, DECIDE, EVENT, FLUSH} state_e;

  state_e                 state_q;
  state_e                 state_d;
  logic [QP_ERROR_W-1:0]  error_data;
  logic                   error_valid;
  logic [QP_ERROR_W-1:0]  error_q;
  qp_error_t              error_in;
  qp_error_t              error;
  logic [3:0]             error_state;
  logic                   goes_down;
  logic [2:0]             flush_left_q;
  logic                   take;
  logic                   take_write;
  logic                   write_q;       // an admin write is being decided, not an error
  logic [QP_W-1:0]        look_qpn;

  stream_arbiter #(
    .N      (ERRORS),
    .DATA_W (QP_ERROR_W)
  ) u_errors (
    .clk,
    .rst,
    .s_data   (s_error_data),
    .s_last   ({ERRORS{1'b1}}),
    .s_valid  (s_error_valid),
    .s_ready  (s_error_ready),
    .m_data   (error_data),
    .m_last   (),
    .m_source (),
    .m_valid  (error_valid),
    .m_ready  (take)
  );

  assign error_in   = error_data;
  assign error      = error_q;
  assign take       = state_q == TAKE && error_valid && !sweep;
  assign take_write = state_q == TAKE && !error_valid && s_write_valid && !sweep;
  assign look_qpn   = error_valid ? error_in.qpn[QP_W-1:0] : write.qpn[QP_W-1:0];
  assign goes_down  = !write_q && error_state[3] && error_state[2:0] != QP_STATE_RESET
                   && error_state[2:0] != QP_STATE_ERR;

  always_comb begin
    state_d = state_q;
    case (state_q)
      TAKE:    if (take || take_write) state_d = READ;
      READ:    state_d = DECIDE;
      DECIDE:  if (!goes_down) state_d = TAKE;
               else if (error.status == CQE_STATUS_WR_FLUSH_ERR) state_d = FLUSH;
               else state_d = EVENT;
      EVENT:   if (m_event_ready) state_d = FLUSH;
      FLUSH:   if (flush_left_q == '0) state_d = TAKE;
      default: state_d = TAKE;
    endcase
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    if (take) error_q <= error_data;
    if (state_q == TAKE) write_q <= !error_valid;
    if (state_q == DECIDE)     flush_left_q <= '1;
    else if (state_q == FLUSH) flush_left_q <= flush_left_q & ~m_flush_ready;
    if (rst) state_q <= TAKE;
  end

  assign m_flush_data   = error.qpn;
  assign m_flush_valid  = state_q == FLUSH ? flush_left_q : '0;
  assign ev_qp_error_en = state_q == DECIDE && goes_down
                       && error.status != CQE_STATUS_WR_FLUSH_ERR;

  event_req_t event_req;
  always_comb begin
    event_req            = '0;
    event_req.event_type = EVENT_TYPE_QP_ERROR;
    if (error.remote && error.status == CQE_STATUS_REM_INV_REQ_ERR)
      event_req.event_type = EVENT_TYPE_QP_REQ_ERROR;
    if (error.remote && error.status == CQE_STATUS_REM_ACCESS_ERR)
      event_req.event_type = EVENT_TYPE_QP_ACCESS_ERROR;
    event_req.number     = {8'd0, error.qpn};
    event_req.detail     = {24'd0, error.status};
  end
  assign m_event_data  = event_req;
  assign m_event_valid = state_q == EVENT;

  // ------------------------------------------------------------------ writes

  logic stays_down;

  // An error that came first is not undone: only RESET leads out of ERR.
  assign s_write_ready = state_q == DECIDE && write_q;
  assign s_rq_ready    = !sweep;
  assign stays_down    = error_state == {1'b1, QP_STATE_ERR} && write_cfg.exists
                      && write_cfg.state != QP_STATE_RESET;

  logic            cfg_wr_en;
  logic            state_wr_en;
  logic [QP_W-1:0] state_wr_addr;
  logic [3:0]      state_wr_data;
  logic            down_en;

  assign down_en       = state_q == DECIDE && goes_down;
  assign cfg_wr_en     = s_write_valid && s_write_ready && !write.state_only;
  assign state_wr_en   = sweep || down_en || (s_write_valid && s_write_ready);

  always_comb begin
    state_wr_addr = write.qpn[QP_W-1:0];
    state_wr_data = {write_cfg.exists, stays_down ? QP_STATE_ERR : write_cfg.state};
    if (sweep) begin
      state_wr_addr = sweep_q[QP_W-1:0];
      state_wr_data = '0;
    end else if (down_en) begin
      state_wr_addr = error.qpn[QP_W-1:0];
      state_wr_data = {1'b1, QP_STATE_ERR};
    end
  end

  ram_1w1r #(
    .DATA_W (4),
    .DEPTH  (1 << QP_W)
  ) u_error_state (
    .clk,
    .wr_en   (state_wr_en),
    .wr_addr (state_wr_addr),
    .wr_data (state_wr_data),
    .rd_en   (take || take_write),
    .rd_addr (look_qpn),
    .rd_data (error_state)
  );

  // ------------------------------------------------------------------ copies, one per reader

  for (genvar i = 0; i < READERS; i++) begin : g_reader
    logic [QP_CONFIG_W-1:0] cfg_bits;
    logic [3:0]             state_bits;
    logic                   known_q;
    qp_config_t             cfg;
    qp_config_t             cfg_q;

    ram_1w1r #(
      .DATA_W (QP_CONFIG_W),
      .DEPTH  (1 << QP_W)
    ) u_cfg (
      .clk,
      .wr_en   (cfg_wr_en),
      .wr_addr (write.qpn[QP_W-1:0]),
      .wr_data (write.cfg),
      .rd_en   (1'b1),
      .rd_addr (rd_qpn[i][QP_W-1:0]),
      .rd_data (cfg_bits)
    );

    ram_1w1r #(
      .DATA_W (4),
      .DEPTH  (1 << QP_W)
    ) u_state (
      .clk,
      .wr_en   (state_wr_en),
      .wr_addr (state_wr_addr),
      .wr_data (state_wr_data),
      .rd_en   (1'b1),
      .rd_addr (rd_qpn[i][QP_W-1:0]),
      .rd_data (state_bits)
    );

    always_comb begin
      cfg        = cfg_bits;
      cfg.exists = known_q && state_bits[3];
      cfg.state  = known_q && state_bits[3] ? state_bits[2:0] : QP_STATE_RESET;
    end

    always_ff @(posedge clk) begin
      known_q <= rd_qpn[i] < 24'(QP_COUNT) && !sweep;
      cfg_q   <= cfg;
    end

    assign rd_cfg[i] = cfg_q;
  end

  for (genvar i = 0; i < RQ_READERS; i++) begin : g_rq_reader
    logic [RQ_CONFIG_W-1:0] cfg_bits;
    logic                   exists_bit;
    logic                   known_q;
    rq_config_t             cfg;
    rq_config_t             cfg_q;

    ram_1w1r #(
      .DATA_W (RQ_CONFIG_W),
      .DEPTH  (1 << RQ_W)
    ) u_cfg (
      .clk,
      .wr_en   (s_rq_valid && s_rq_ready),
      .wr_addr (rq_write.rq_id[RQ_W-1:0]),
      .wr_data (rq_write.cfg),
      .rd_en   (1'b1),
      .rd_addr (rq_rd_id[i][RQ_W-1:0]),
      .rd_data (cfg_bits)
    );

    ram_1w1r #(
      .DATA_W (1),
      .DEPTH  (1 << RQ_W)
    ) u_exists (
      .clk,
      .wr_en   (sweep || (s_rq_valid && s_rq_ready)),
      .wr_addr (sweep ? sweep_q[RQ_W-1:0] : rq_write.rq_id[RQ_W-1:0]),
      .wr_data (!sweep && rq_write_cfg.exists),
      .rd_en   (1'b1),
      .rd_addr (rq_rd_id[i][RQ_W-1:0]),
      .rd_data (exists_bit)
    );

    always_comb begin
      cfg        = cfg_bits;
      cfg.exists = known_q && exists_bit;
    end

    always_ff @(posedge clk) begin
      known_q <= rq_rd_id[i] < 16'(RQ_COUNT);
      cfg_q   <= cfg;
    end

    assign rq_rd_cfg[i] = cfg_q;
  end

endmodule
