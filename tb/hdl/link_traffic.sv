// link_traffic: two devices that send frames of BEATS beats without a pause and count what arrives.
module link_traffic #(
  parameter int DATA_W = 512,
  parameter int BEATS  = 17
) (
  input  logic                clk,
  input  logic                rst,
  input  logic                run,

  // Device a
  output logic [DATA_W-1:0]   a_m_axis_tx_tdata,
  output logic [DATA_W/8-1:0] a_m_axis_tx_tkeep,
  output logic                a_m_axis_tx_tlast,
  output logic                a_m_axis_tx_tvalid,
  input  logic                a_m_axis_tx_tready,
  input  logic [DATA_W-1:0]   a_s_axis_rx_tdata,
  input  logic [DATA_W/8-1:0] a_s_axis_rx_tkeep,
  input  logic                a_s_axis_rx_tlast,
  input  logic                a_s_axis_rx_tuser,
  input  logic                a_s_axis_rx_tvalid,
  output logic [31:0]         a_beats,
  output logic [31:0]         a_errors,

  // Device b
  output logic [DATA_W-1:0]   b_m_axis_tx_tdata,
  output logic [DATA_W/8-1:0] b_m_axis_tx_tkeep,
  output logic                b_m_axis_tx_tlast,
  output logic                b_m_axis_tx_tvalid,
  input  logic                b_m_axis_tx_tready,
  input  logic [DATA_W-1:0]   b_s_axis_rx_tdata,
  input  logic [DATA_W/8-1:0] b_s_axis_rx_tkeep,
  input  logic                b_s_axis_rx_tlast,
  input  logic                b_s_axis_rx_tuser,
  input  logic                b_s_axis_rx_tvalid,
  output logic [31:0]         b_beats,
  output logic [31:0]         b_errors
);

  logic [31:0] a_sent_q, b_sent_q;
  logic [7:0]  a_beat_q, b_beat_q;

  assign a_m_axis_tx_tdata  = {(DATA_W / 32){a_sent_q}};
  assign a_m_axis_tx_tlast  = a_beat_q == 8'(BEATS - 1);
  assign a_m_axis_tx_tkeep  = '1;
  assign a_m_axis_tx_tvalid = run || a_beat_q != 0;
  assign b_m_axis_tx_tdata  = {(DATA_W / 32){b_sent_q}};
  assign b_m_axis_tx_tlast  = b_beat_q == 8'(BEATS - 1);
  assign b_m_axis_tx_tkeep  = '1;
  assign b_m_axis_tx_tvalid = run || b_beat_q != 0;

  always_ff @(posedge clk) begin
    if (a_m_axis_tx_tvalid && a_m_axis_tx_tready) begin
      a_sent_q <= a_sent_q + 1;
      a_beat_q <= a_m_axis_tx_tlast ? 8'd0 : a_beat_q + 8'd1;
    end
    if (b_m_axis_tx_tvalid && b_m_axis_tx_tready) begin
      b_sent_q <= b_sent_q + 1;
      b_beat_q <= b_m_axis_tx_tlast ? 8'd0 : b_beat_q + 8'd1;
    end
    // Beats carry their number: what arrives must count on.
    if (a_s_axis_rx_tvalid) begin
      a_beats <= a_beats + 1;
      if (a_s_axis_rx_tdata != {(DATA_W / 32){a_beats}}) a_errors <= a_errors + 1;
    end
    if (b_s_axis_rx_tvalid) begin
      b_beats <= b_beats + 1;
      if (b_s_axis_rx_tdata != {(DATA_W / 32){b_beats}}) b_errors <= b_errors + 1;
    end
    if (rst) begin
      a_sent_q <= '0;
      b_sent_q <= '0;
      a_beat_q <= '0;
      b_beat_q <= '0;
      a_beats  <= '0;
      b_beats  <= '0;
      a_errors <= '0;
      b_errors <= '0;
    end
  end

endmodule
