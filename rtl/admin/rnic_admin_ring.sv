// rnic_admin_ring: the admin queue's two rings in host memory.
//
// Fetches one 64-byte command at a time, hands it on, and writes its completion, with the phase
// bit, when the answer is there; the interrupt leaves behind the write response. Commands
// end in the order in which they were posted. Disabling the queue resets the indices; a command
// under way ends without a completion, and nothing is fetched before that.
//
//   doorbell ─► read command ─► m_cmd ... s_rsp ─► write completion ─► m_irq
`include "streams.svh"
`include "layouts.svh"
`include "registers.svh"

module rnic_admin_ring (
  input  logic                        clk,
  input  logic                        rst,

  // Registers
  input  admin_config_reg_t           admin_config,
  input  logic [63:0]                 sq_base,
  input  logic [63:0]                 cq_base,
  input  logic                        doorbell_en,
  input  logic [15:0]                 doorbell_index,
  input  logic                        cq_index_en,
  input  logic [15:0]                 cq_index,
  output logic [15:0]                 sq_head,
  output logic [15:0]                 cq_head,

  // Commands and their answers
  output logic [511:0]                m_cmd_data,
  output logic                        m_cmd_error,
  output logic                        m_cmd_valid,
  input  logic                        m_cmd_ready,
  input  logic [7:0]                  s_rsp_status,
  input  logic [63:0]                 s_rsp_detail,
  input  logic [351:0]                s_rsp_data,
  input  logic                        s_rsp_valid,
  output logic                        s_rsp_ready,

  // Host memory
  output logic [DMA_READ_REQ_W-1:0]   m_dma_data,
  output logic                        m_dma_valid,
  input  logic                        m_dma_ready,
  input  logic [DMA_READ_DATA_W-1:0]  s_dma_data,
  input  logic                        s_dma_en,
  output logic [DMA_WRITE_REQ_W-1:0]  m_wreq_data,
  output logic                        m_wreq_valid,
  input  logic                        m_wreq_ready,
  output logic [DMA_WRITE_DATA_W-1:0] m_wdata_data,
  output logic                        m_wdata_valid,
  input  logic                        m_wdata_ready,
  input  logic                        s_wdone_en,

  // Interrupt request
  output logic [7:0]                  m_irq_data,
  output logic                        m_irq_valid,
  input  logic                        m_irq_ready
);

  typedef enum logic [2:0] {IDLE, READ, FETCH, RUN, ANSWER, DATA, DRAIN, IRQ} state_e;

  state_e        state_q;
  state_e        state_d;
  logic [15:0]   sq_tail_q;
  logic [15:0]   cq_tail_q;    // consumed by the host
  logic [511:0]  cmd_q;
  logic          error_q;
  logic          work;
  dma_read_data_t read;
  admin_cqe_t     entry;
  admin_command_t cmd;
  logic [511:0]   entry_q;
  logic [15:0]    sq_slot;
  logic [15:0]    cq_slot;
  logic [15:0]    cq_size;
  logic           off_q;        // was disabled: the indices are to be reset
  logic           irq_q;        // an interrupt was wanted when the completion was written
  logic [7:0]     irq_data_q;
  logic [63:0]    addr_q;       // of the command, then of its completion
  logic           wreq_sent_q;
  logic           wdata_sent_q;
  logic           wreq_done;
  logic           wdata_done;

  assign read    = s_dma_data;
  assign cmd     = cmd_q;
  assign cq_size = 16'd1 << admin_config.cq_log;
  assign sq_slot = sq_head & ((16'd1 << admin_config.sq_log) - 16'd1);
  assign cq_slot = cq_head & (cq_size - 16'd1);

  // A command is fetched only when its completion has room.
  assign work = admin_config.enable && !off_q
             && sq_head != sq_tail_q && cq_head - cq_tail_q != cq_size;

  always_comb begin
    state_d = state_q;
    case (state_q)
      IDLE:    if (work) state_d = READ;
      READ:    if (m_dma_ready) state_d = FETCH;
      FETCH:   if (s_dma_en) state_d = RUN;
      RUN:     if (m_cmd_ready) state_d = ANSWER;
      ANSWER:  if (s_rsp_valid && off_q) state_d = IDLE;
               else if (s_rsp_valid) state_d = DATA;
      DATA:    if (wreq_done && wdata_done) state_d = DRAIN;
      DRAIN:   if (s_wdone_en) state_d = IRQ;
      IRQ:     if (!irq_q || m_irq_ready) state_d = IDLE;
      default: state_d = IDLE;
    endcase
  end

  assign wreq_done  = wreq_sent_q || m_wreq_ready;
  assign wdata_done = wdata_sent_q || m_wdata_ready;

  always_comb begin
    entry         = '0;
    entry.tag     = cmd.tag;
    entry.status  = s_rsp_status;
    entry.sq_head = sq_head;
    entry.detail  = s_rsp_detail;
    entry.data    = s_rsp_data;
    entry.phase   = (cq_head & cq_size) == '0;
  end

  always_ff @(posedge clk) begin
    state_q <= state_d;
    // An address that is offered stays, whatever the host does to the registers.
    if (state_q == IDLE)   addr_q <= sq_base + {42'd0, sq_slot, 6'd0};
    if (state_q == ANSWER) addr_q <= cq_base + {42'd0, cq_slot, 6'd0};
    if (doorbell_en) sq_tail_q <= doorbell_index;
    if (cq_index_en) cq_tail_q <= cq_index;
    if (state_q == FETCH && s_dma_en) begin
      cmd_q   <= read.data;
      error_q <= read.error;
      sq_head <= sq_head + 16'd1;
    end
    if (state_q == ANSWER && s_rsp_valid) entry_q <= entry;
    wreq_sent_q  <= state_q == DATA && wreq_done && !(wreq_done && wdata_done);
    wdata_sent_q <= state_q == DATA && wdata_done && !(wreq_done && wdata_done);
    if (state_q == DRAIN && s_wdone_en) begin
      cq_head    <= cq_head + 16'd1;
      irq_q      <= admin_config.irq_enable;
      irq_data_q <= admin_config.vector;
    end
    off_q <= !admin_config.enable || (off_q && state_q != IDLE);
    if (off_q && state_q == IDLE) begin
      sq_head <= '0;
      cq_head <= '0;
    end
    if (!admin_config.enable) begin
      sq_tail_q <= '0;
      cq_tail_q <= '0;
    end
    if (rst) begin
      state_q      <= IDLE;
      off_q        <= 1'b1;
      sq_head      <= '0;
      cq_head      <= '0;
      sq_tail_q    <= '0;
      cq_tail_q    <= '0;
      wreq_sent_q  <= 1'b0;
      wdata_sent_q <= 1'b0;
    end
  end

  dma_read_req_t   dma;
  dma_write_req_t  wreq;
  dma_write_data_t wdata;

  always_comb begin
    dma         = '0;
    dma.addr    = addr_q;
    dma.length  = 13'd64;
    wreq        = '0;
    wreq.addr   = addr_q;
    wreq.beats  = 7'd1;
    wdata       = '0;
    wdata.data  = entry_q;
    wdata.strb  = '1;
    wdata.last  = 1'b1;
  end

  assign m_dma_data    = dma;
  assign m_dma_valid   = state_q == READ;
  assign m_cmd_data    = cmd_q;
  assign m_cmd_error   = error_q;
  assign m_cmd_valid   = state_q == RUN;
  assign s_rsp_ready   = state_q == ANSWER;
  assign m_wreq_data   = wreq;
  assign m_wreq_valid  = state_q == DATA && !wreq_sent_q;
  assign m_wdata_data  = wdata;
  assign m_wdata_valid = state_q == DATA && !wdata_sent_q;
  assign m_irq_data    = irq_data_q;
  assign m_irq_valid   = state_q == IRQ && irq_q;

endmodule
