// One spelling of an assertion for three tools.
//
//   `RNIC_ASSERT(done_only_while_draining, !dma_done || state_q == DRAIN)
//
// Simulation prints the name and stops with an error; an X counts as false. Formal asserts; synthesis
// sees nothing. Needs `clk` and `rst` in scope, and is off while `rst` is high or unknown, and at time 0,
// when nobody has driven it yet. Icarus refuses a label on an assertion and Yosys an `else`, hence this.
`ifndef RNIC_ASSERT_SVH
`define RNIC_ASSERT_SVH

`ifdef FORMAL
`define RNIC_ASSERT(NAME, COND) \
  always @(posedge clk) if (!rst) assert (COND);
`elsif SYNTHESIS
`define RNIC_ASSERT(NAME, COND)
`else
`define RNIC_ASSERT(NAME, COND) \
  always @(posedge clk) \
    if (rst === 1'b0 && $time != 0 && (COND) !== 1'b1) begin \
      $display("%0t: %m: assertion %s failed", $time, `"NAME`"); \
      $fatal(1, `"NAME`"); \
    end
`endif

`endif
