// rnic_csr_reset: soft reset without breaking a bus transaction or a frame.
//
// A request first stops what begins something (`stopping`): frames in and out, host reads, host
// writes. What has begun ends: the answers of the host come, and the frame on the wire ends if the
// MAC takes it within PATIENCE cycles. Then everything behind the register block is reset for
// some cycles. Answers that have not come after HOST_TICKS ticks are waited for no longer; from
// `forget_en` on they are rnic_host_owed's. A transaction that is still on offer, or a burst that
// is not sent, must end all the same: a host that takes nothing is all that this waits for.
//
// A frame that arrives meanwhile is cut in two by the reset; `skip` is up for its second half.
module rnic_csr_reset #(
  parameter int QUIET_CYCLES = 16,
  parameter int PATIENCE     = 4096,
  parameter int HOST_TICKS   = 16384
) (
  input  logic        clk,
  input  logic        rst,

  // Request; the host port: answers that have not come, transactions on offer or half sent
  input  logic        soft_reset_en,
  input  logic        unanswered,
  input  logic        pending,
  input  logic [15:0] tick_cycles,

  // Frames: one is on its way out; beats that come in
  input  logic        tx_busy,
  input  logic        rx_beat_en,
  input  logic        rx_last,

  // Stop, forget, then reset
  output logic        stopping,
  output logic        forget_en,
  output logic        core_rst,
  output logic        skip
);

  localparam int QUIET_W    = $clog2(QUIET_CYCLES);
  localparam int PATIENCE_W = $clog2(PATIENCE);
  localparam int HOST_W     = $clog2(HOST_TICKS);

  logic [QUIET_W-1:0]    quiet_q;
  logic [PATIENCE_W-1:0] patience_q;
  logic [15:0]           tick_q;
  logic [HOST_W-1:0]     host_q;
  logic                  busy_q;
  logic [3:0]            hold_q;
  logic                  rx_inside_q;
  logic                  skip_q;
  logic                  resetting;
  logic                  quiet;
  logic                  tick;
  logic                  go;

  assign quiet     = (!unanswered || host_q == '1) && !pending;
  assign go        = busy_q && quiet_q == '1 && quiet && (!tx_busy || patience_q == '1);
  assign tick      = tick_q + 16'd1 >= tick_cycles;
  assign resetting = hold_q != '0;
  assign stopping  = busy_q || resetting;
  assign forget_en = go;
  assign core_rst  = rst || resetting;
  assign skip      = skip_q;

  always_ff @(posedge clk) begin
    quiet_q    <= !(quiet && busy_q) ? '0 : quiet_q == '1 ? quiet_q : quiet_q + 1'b1;
    patience_q <= !busy_q ? '0 : patience_q == '1 ? patience_q : patience_q + 1'b1;
    tick_q     <= !busy_q || tick ? '0 : tick_q + 16'd1;
    if (!busy_q)                     host_q <= '0;
    else if (tick && host_q != '1) host_q <= host_q + 1'b1;

    if (soft_reset_en) busy_q <= 1'b1;
    if (resetting) hold_q <= hold_q - 4'd1;
    if (go) begin
      busy_q <= 1'b0;
      hold_q <= 4'd15;
    end

    if (rx_beat_en) rx_inside_q <= !rx_last;
    if (resetting)       skip_q <= rx_beat_en ? !rx_last : rx_inside_q;
    else if (rx_beat_en) skip_q <= 1'b0;

    if (rst) begin
      quiet_q     <= '0;
      patience_q  <= '0;
      busy_q      <= 1'b0;
      hold_q      <= '0;
      rx_inside_q <= 1'b0;
      skip_q      <= 1'b0;
    end
  end

endmodule
