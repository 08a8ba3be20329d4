// rnic_stats: 64 counters of 64 bits that lose no event.
//
//   events, bytes ─► small counter per statistic ─► visited in turn ─► added into a RAM
//
// Every source may pulse every event in every cycle. A small counter is emptied into the RAM once in
// STAT_COUNT cycles, a little later when the host reads, and is wide enough for that time; a value
// read is that much behind. Reading a low word freezes the high word that the next read gets.
`include "codes.svh"
`include "registers.svh"

module rnic_stats #(
  parameter int SOURCES = 1
) (
  input  logic                                clk,
  input  logic                                rst,

  // What happens: pulses, and bytes to add now
  input  logic [SOURCES-1:0][STAT_COUNT-1:0] events,
  input  logic [12:0]                         tx_bytes,
  input  logic [12:0]                         rx_bytes,
  input  logic [12:0]                         tx_rdma_bytes,
  input  logic [12:0]                         rx_rdma_bytes,

  // Host: one question at a time
  input  logic                                rd_en,
  input  logic [5:0]                          rd_index,
  input  logic                                rd_high,
  output logic                                rd_done,
  output logic [31:0]                         rd_data
);

  // A turn takes at most 64 cycles and a host read each fourth of them; bytes come at line rate,
  // one packet may be added in one cycle.
  localparam int PULSE_W = 8 + $clog2(SOURCES + 1);
  localparam int BYTES_W = 16;

  logic [STAT_COUNT*BYTES_W-1:0] small_count;
  logic [63:0]        total [STAT_COUNT];

  logic [5:0]         turn_q;
  logic               fresh_q;
  logic               host_q;
  logic               host_now;
  logic               host_read_q;

  logic [63:0]        total_q;
  logic [BYTES_W-1:0] add_q;
  logic [5:0]         index_q;
  logic               write_q;
  logic               clear_q;
  logic [31:0]        high_q;
  logic               high_done_q;

  for (genvar i = 0; i < STAT_COUNT; i++) begin : g_small
    logic taken;
    assign taken = !host_now && turn_q == 6'(i);

    if (i == 32'(STAT_TX_BYTES) || i == 32'(STAT_RX_BYTES) ||
        i == 32'(STAT_TX_RDMA_BYTES) || i == 32'(STAT_RX_RDMA_BYTES)) begin : g_bytes
      logic [BYTES_W-1:0] count_q;
      logic [12:0]        more;

      if (i == 32'(STAT_TX_BYTES))           begin : g_tx      assign more = tx_bytes;      end
      else if (i == 32'(STAT_RX_BYTES))      begin : g_rx      assign more = rx_bytes;      end
      else if (i == 32'(STAT_TX_RDMA_BYTES)) begin : g_tx_rdma assign more = tx_rdma_bytes; end
      else                                   begin : g_rx_rdma assign more = rx_rdma_bytes; end

      always_ff @(posedge clk) begin
        count_q <= (taken ? '0 : count_q) + BYTES_W'(more);
        if (rst) count_q <= '0;
      end
      assign small_count[i*BYTES_W +: BYTES_W] = count_q;
    end else begin : g_pulses
      logic [PULSE_W-1:0] count_q;
      logic [SOURCES-1:0] pulses;
      logic [PULSE_W-1:0] more;

      for (genvar s = 0; s < SOURCES; s++) begin : g_source
        assign pulses[s] = events[s][i];
      end

      always_comb begin
        more = '0;
        for (int s = 0; s < SOURCES; s++) more = more + PULSE_W'(pulses[s]);
      end

      always_ff @(posedge clk) begin
        count_q <= (taken ? '0 : count_q) + more;
        if (rst) count_q <= '0;
      end
      assign small_count[i*BYTES_W +: BYTES_W] = BYTES_W'(count_q);
    end
  end

  // The host's read takes the place of one visit, once the first round has cleared the RAM.
  assign host_now = host_q && !fresh_q;

  always_ff @(posedge clk) begin
    total_q <= total[host_now ? rd_index : turn_q];
    add_q   <= small_count[turn_q*BYTES_W +: BYTES_W];
    index_q <= turn_q;
    clear_q <= fresh_q;
    if (write_q) total[index_q] <= (clear_q ? 64'd0 : total_q) + 64'(add_q);
    if (host_read_q) high_q <= total_q[63:32];

    write_q     <= !host_now;
    host_q      <= (host_q || (rd_en && !rd_high)) && !host_now;
    host_read_q <= host_now;
    high_done_q <= rd_en && rd_high;
    if (!host_now) begin
      turn_q <= turn_q + 6'd1;
      if (&turn_q) fresh_q <= 1'b0;
    end
    if (rst) begin
      write_q     <= 1'b0;
      host_q      <= 1'b0;
      host_read_q <= 1'b0;
      high_done_q <= 1'b0;
      turn_q      <= '0;
      fresh_q     <= 1'b1;
    end
  end

  assign rd_done = host_read_q || high_done_q;
  assign rd_data = host_read_q ? total_q[31:0] : high_q;

endmodule
