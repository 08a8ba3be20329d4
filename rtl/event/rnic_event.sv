// rnic_event: event queues and interrupts.
//
// An event takes the next slot of its queue and is written to host memory; behind the write
// response its interrupt leaves, at once or moderated: after `mod_count` events, or `mod_time`
// microseconds after the first one, whichever comes first (0 switches a limit off). A full
// queue keeps what it has; the event is dropped, and `overflow` says so for good. A change of a
// queue waits until what was written before is answered and its interrupt has left.
//
//   s_event[n] ─► one at a time ─► m_wreq, m_wdata ─► (write response) ─► moderation ─► m_irq
//                 3 cycles each
`include "streams.svh"
`include "layouts.svh"
`include "assert.svh"

module rnic_event #(
  parameter int EQ_COUNT  = 16,
  parameter int SOURCES   = 2,
  parameter int US_CYCLES = 250
) (
  input  logic                                clk,
  input  logic                                rst,

  // Events
  input  logic [SOURCES-1:0][EVENT_REQ_W-1:0] s_event_data,
  input  logic [SOURCES-1:0]                  s_event_valid,
  output logic [SOURCES-1:0]                  s_event_ready,

  // Consumer indices
  input  logic [RING_UPDATE_W-1:0]            s_update_data,
  input  logic                                s_update_valid,
  output logic                                s_update_ready,

  // Changes by rnic_admin; the answer comes with the ready
  input  logic [EQ_CONFIG_W-1:0]              s_cfg_data,
  input  logic                                s_cfg_valid,
  output logic                                s_cfg_ready,
  output logic                                cfg_existed,

  // DMA write
  output logic [DMA_WRITE_REQ_W-1:0]          m_wreq_data,
  output logic                                m_wreq_valid,
  input  logic                                m_wreq_ready,
  output logic [DMA_WRITE_DATA_W-1:0]         m_wdata_data,
  output logic                                m_wdata_valid,
  input  logic                                m_wdata_ready,
  input  logic                                s_wdone_en,
  input  logic                                s_wdone_error,

  // Interrupt requests
  output logic [7:0]                          m_axis_irq_tdata,
  output logic                                m_axis_irq_tvalid,
  input  logic                                m_axis_irq_tready,

  // Status and events
  output logic                                overflow,
  output logic                                ev_eqe_en,
  output logic                                ev_irq_en
);

  localparam int EQ_W   = $clog2(EQ_COUNT);
  localparam int TICK_W = $clog2(US_CYCLES);

  // ------------------------------------------------------------------ context, in registers

  logic [EQ_COUNT-1:0]       exists_q;
  logic [EQ_COUNT-1:0][63:0] base_q;
  logic [EQ_COUNT-1:0][3:0]  log_q;
  logic [EQ_COUNT-1:0][7:0]  vector_q;
  logic [EQ_COUNT-1:0][15:0] mod_count_q;
  logic [EQ_COUNT-1:0][15:0] mod_time_q;
  logic [EQ_COUNT-1:0][15:0] producer_q;
  logic [EQ_COUNT-1:0][15:0] consumer_q;
  logic [EQ_COUNT-1:0][15:0] pending_q;   // events whose interrupt has not left
  logic [EQ_COUNT-1:0][15:0] waited_q;    // microseconds since the first of them
  logic [EQ_COUNT-1:0]       due_q;       // an interrupt is to leave

  // ------------------------------------------------------------------ events, one at a time

  typedef enum logic [1:0] {TAKE, LOOK, WRITE} state_e;

  state_e                 state_q;
  logic [EVENT_REQ_W-1:0] event_data;
  logic                   event_valid;
  logic                   take;
  logic [EVENT_REQ_W-1:0] event_q;
  event_req_t             ev;
  logic [EQ_W-1:0]        eqn;
  logic                   known;

  stream_arbiter #(
    .N      (SOURCES),
    .DATA_W (EVENT_REQ_W)
  ) u_events (
    .clk,
    .rst,
    .s_data   (s_event_data),
    .s_last   ({SOURCES{1'b1}}),
    .s_valid  (s_event_valid),
    .s_ready  (s_event_ready),
    .m_data   (event_data),
    .m_last   (),
    .m_source (),
    .m_valid  (event_valid),
    .m_ready  (take)
  );

  assign take  = state_q == TAKE && event_valid && !s_cfg_valid;
  assign ev    = event_q;
  assign eqn   = ev.eqn[EQ_W-1:0];
  assign known = 32'(ev.eqn) < EQ_COUNT;

  logic        exists_look_q;
  logic [63:0] base_look_q;
  logic [15:0] size_look_q;
  logic [15:0] producer_look_q;
  logic        full_look_q;
  logic [15:0] used;
  logic [15:0] size;
  logic        writing;
  logic        write;
  logic        write_done;
  logic        wreq_room;
  logic        wdata_room;
  logic        behind_room;

  assign used       = producer_q[eqn] - consumer_q[eqn];
  assign size       = 16'd1 << log_q[eqn];
  assign writing    = state_q == WRITE;
  assign write      = writing && exists_look_q && !full_look_q;
  assign write_done = write && wreq_room && wdata_room && behind_room;

  always_ff @(posedge clk) begin
    case (state_q)
      TAKE:    if (take) state_q <= LOOK;
      LOOK:    state_q <= WRITE;
      default: if (!write || write_done) state_q <= TAKE;
    endcase
    if (take) event_q <= event_data;
    if (state_q == LOOK) begin
      exists_look_q   <= known && exists_q[eqn];
      base_look_q     <= base_q[eqn];
      size_look_q     <= size;
      producer_look_q <= producer_q[eqn];
      full_look_q     <= used == size;
    end
    if (writing && exists_look_q && full_look_q) overflow <= 1'b1;
    if (s_wdone_en && s_wdone_error) overflow <= 1'b1;
    if (rst) begin
      state_q  <= TAKE;
      overflow <= 1'b0;
    end
  end

  // ------------------------------------------------------------------ the entry

  eqe_t            entry;
  logic [127:0]    entry_bits;
  logic [63:0]     slot_addr;
  logic [15:0]     slot;
  dma_write_req_t  wreq;
  dma_write_data_t wdata;

  assign slot      = producer_look_q & (size_look_q - 16'd1);
  assign slot_addr = base_look_q + {44'd0, slot, 4'd0};

  always_comb begin
    entry            = '0;
    entry.number     = ev.number;
    entry.event_type = ev.event_type;
    entry.detail     = ev.detail;
    entry.phase      = (producer_look_q & size_look_q) == '0;
    wreq             = '0;
    wreq.addr        = slot_addr;
    wreq.beats       = 7'd1;
    wdata            = '0;
    wdata.data       = {4{entry_bits}};
    wdata.strb       = 64'hffff << {slot_addr[5:4], 4'd0};
    wdata.last       = 1'b1;
  end
  assign entry_bits = entry;

  stream_fifo #(
    .DATA_W (DMA_WRITE_REQ_W),
    .DEPTH  (4)
  ) u_wreq (
    .clk,
    .rst,
    .s_data  (wreq),
    .s_valid (write_done),
    .s_ready (wreq_room),
    .m_data  (m_wreq_data),
    .m_valid (m_wreq_valid),
    .m_ready (m_wreq_ready),
    .count   ()
  );

  stream_fifo #(
    .DATA_W (DMA_WRITE_DATA_W),
    .DEPTH  (4)
  ) u_wdata (
    .clk,
    .rst,
    .s_data  (wdata),
    .s_valid (write_done),
    .s_ready (wdata_room),
    .m_data  (m_wdata_data),
    .m_valid (m_wdata_valid),
    .m_ready (m_wdata_ready),
    .count   ()
  );

  logic [EQ_W-1:0] behind_eqn;
  logic            behind_valid;

  stream_fifo #(
    .DATA_W (EQ_W),
    .DEPTH  (64)
  ) u_behind (
    .clk,
    .rst,
    .s_data  (eqn),
    .s_valid (write_done),
    .s_ready (behind_room),
    .m_data  (behind_eqn),
    .m_valid (behind_valid),
    .m_ready (s_wdone_en),
    .count   ()
  );

  `RNIC_ASSERT(every_answer_has_its_write, !s_wdone_en || behind_valid)

  // ------------------------------------------------------------------ doorbells, configuration

  ring_update_t    update;
  logic [EQ_W-1:0] update_eqn;
  logic [15:0]     update_used;
  logic [15:0]     update_freed;
  eq_config_t      cfg;
  logic [EQ_W-1:0] cfg_eqn;
  logic            cfg_known;
  logic            cfg_en;

  assign update         = s_update_data;
  assign update_eqn     = update.number[EQ_W-1:0];
  assign update_used    = producer_q[update_eqn] - consumer_q[update_eqn];
  assign update_freed   = update.index - consumer_q[update_eqn];
  assign s_update_ready = 1'b1;

  // A change waits for the answers of the entries before it, and new events wait for the change.
  assign cfg         = s_cfg_data;
  assign cfg_eqn     = cfg.eqn[EQ_W-1:0];
  assign cfg_known   = 32'(cfg.eqn) < EQ_COUNT;
  assign s_cfg_ready = state_q == TAKE && !m_wreq_valid && !m_wdata_valid && !behind_valid
                    && !(m_axis_irq_tvalid && scan_q == cfg_eqn);
  assign cfg_en      = s_cfg_valid && s_cfg_ready;
  assign cfg_existed = cfg_known && exists_q[cfg_eqn];

  // ------------------------------------------------------------------ moderation

  logic [TICK_W-1:0] tick_q;
  logic              tick;
  logic [EQ_W-1:0]   scan_q;
  logic              irq_en;

  assign tick   = tick_q == TICK_W'(US_CYCLES - 1);
  assign irq_en = m_axis_irq_tvalid && m_axis_irq_tready;

  // One queue after the other may send; EQ_COUNT cycles are far below a microsecond.
  assign m_axis_irq_tvalid = due_q[scan_q];
  assign m_axis_irq_tdata  = vector_q[scan_q];

  logic [EQ_COUNT-1:0] time_up;
  for (genvar i = 0; i < EQ_COUNT; i++) begin : g_time
    assign time_up[i] = tick && mod_time_q[i] != '0 && waited_q[i] >= mod_time_q[i];
  end

  always_ff @(posedge clk) begin
    tick_q <= tick ? '0 : tick_q + 1'b1;
    if (!m_axis_irq_tvalid || m_axis_irq_tready)
      scan_q <= scan_q == EQ_W'(EQ_COUNT - 1) ? '0 : scan_q + 1'b1;

    for (int i = 0; i < EQ_COUNT; i++) begin
      if (tick && pending_q[i] != '0 && waited_q[i] != '1) waited_q[i] <= waited_q[i] + 16'd1;
      if (pending_q[i] != '0 && !due_q[i]
          && ((mod_count_q[i] < 16'd2 && mod_time_q[i] == '0)
              || (mod_count_q[i] > 16'd1 && pending_q[i] >= mod_count_q[i])
              || time_up[i]))
        due_q[i] <= 1'b1;
      if (irq_en && scan_q == EQ_W'(i)) begin
        due_q[i]     <= 1'b0;
        pending_q[i] <= '0;
        waited_q[i]  <= '0;
      end
      if (s_wdone_en && !s_wdone_error && behind_eqn == EQ_W'(i)) begin
        // An event in the cycle in which the interrupt leaves belongs to the next one.
        if (irq_en && scan_q == EQ_W'(i)) pending_q[i] <= 16'd1;
        else if (pending_q[i] != '1)      pending_q[i] <= pending_q[i] + 16'd1;
      end
      if (write_done && eqn == EQ_W'(i)) producer_q[i] <= producer_q[i] + 16'd1;
      if (s_update_valid && update.number == 16'(i) && exists_q[i]
          && update_freed <= update_used)
        consumer_q[i] <= update.index;
      if (cfg_en && cfg_known && cfg_eqn == EQ_W'(i)) begin
        mod_count_q[i] <= cfg.mod_count;
        mod_time_q[i]  <= cfg.mod_time;
        if (!cfg.keep) begin
          exists_q[i]   <= cfg.exists;
          base_q[i]     <= cfg.base;
          log_q[i]      <= cfg.log_size;
          vector_q[i]   <= cfg.vector;
          producer_q[i] <= '0;
          consumer_q[i] <= '0;
          pending_q[i]  <= '0;
          waited_q[i]   <= '0;
          due_q[i]      <= 1'b0;
        end
      end
    end

    if (rst) begin
      tick_q    <= '0;
      scan_q    <= '0;
      exists_q  <= '0;
      pending_q <= '0;
      waited_q  <= '0;
      due_q     <= '0;
    end
  end

  assign ev_eqe_en = write_done;
  assign ev_irq_en = irq_en;

endmodule
