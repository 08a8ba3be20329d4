// rnic_rx_pieces: turns the answers of the key check into moves, host write bursts and records.
//
// A segment becomes one or two moves: what the line engine does with the next payload bytes. A move
// that writes has its burst asked for at once, and every move leaves a record for retire. After a refused
// segment the rest of the group moves nothing. Pieces do not cross 4 KiB, see rnic_mem_check. One
// move per cycle.
`include "rx.svh"
`include "streams.svh"

module rnic_rx_pieces (
  input  logic           clk,
  input  logic           rst,

  // Answers, with what was asked
  input  mem_rsp_t       s_rsp_data,
  input  rx_segment_t    s_rsp_segment,
  input  logic           s_rsp_valid,
  output logic           s_rsp_ready,

  // Moves
  output rx_move_t       m_move_data,
  output logic           m_move_valid,
  input  logic           m_move_ready,

  // Bursts
  output dma_write_req_t m_wreq_data,
  output logic           m_wreq_valid,
  input  logic           m_wreq_ready,

  // Records
  output rx_record_t     m_record_data,
  output logic           m_record_valid,
  input  logic           m_record_ready
);

  logic        dead_q;     // a segment of this group was refused
  logic        second_q;   // the first piece is gone
  logic        dead;
  logic        refused;
  logic [63:0] addr;
  logic [12:0] len;
  logic        write;
  logic        more;       // a second piece follows
  logic        all_ready;
  logic        fire;

  assign dead     = dead_q && !s_rsp_segment.first;
  assign refused  = !s_rsp_data.ok || s_rsp_data.bus_error;

  assign addr  = second_q ? s_rsp_data.addr1 : s_rsp_data.addr0;
  assign len   = second_q ? s_rsp_data.len1 : s_rsp_data.len0;
  assign write = !dead && !refused && len != '0;
  assign more  = !dead && !refused && s_rsp_data.len1 != '0 && !second_q;

  always_comb begin
    m_move_data.first  = s_rsp_segment.first && !second_q;
    m_move_data.last   = s_rsp_segment.last && !more;
    m_move_data.off    = s_rsp_segment.off;
    m_move_data.beats  = s_rsp_segment.beats;
    m_move_data.lane   = addr[5:0];
    m_move_data.write  = write;
    m_move_data.length = '0;
    if (write)                  m_move_data.length = len;
    else if (!dead && !refused) m_move_data.length = s_rsp_segment.length;
  end

  assign m_wreq_data.addr  = addr;
  assign m_wreq_data.beats = 7'((14'(addr[5:0]) + 14'(len) + 14'd63) >> 6);

  always_comb begin
    m_record_data.last  = s_rsp_segment.last && !more;
    m_record_data.write = write;
    m_record_data.fault = RX_FAULT_NONE;
    if (!dead && s_rsp_data.bus_error) m_record_data.fault = RX_FAULT_BUS;
    else if (!dead && refused)         m_record_data.fault = s_rsp_segment.fault;
  end

  // All three leave together.
  assign all_ready      = m_move_ready && m_record_ready && (m_wreq_ready || !write);
  assign fire           = s_rsp_valid && all_ready;
  assign s_rsp_ready    = all_ready && !more;
  assign m_move_valid   = fire;
  assign m_record_valid = fire;
  assign m_wreq_valid   = fire && write;

  always_ff @(posedge clk) begin
    if (fire) begin
      dead_q   <= dead || refused;
      second_q <= more;
    end
    if (rst) second_q <= 1'b0;
  end

endmodule
