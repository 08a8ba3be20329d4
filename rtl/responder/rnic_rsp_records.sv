// rnic_rsp_records: the last 16 reads and atomics of each queue pair, and whether a repeated
// request is one of them (rocev2 4.6).
//
// The strict rule for reads: the part asked for starts on a packet of the old read and ends where
// that ended. A search goes from the newest back, one record per cycle; it answers with `done`
// as long as `seek` is up.
`include "responder.svh"

module rnic_rsp_records #(
  parameter int QP_COUNT = 256,
  localparam int QP_W    = $clog2(QP_COUNT)
) (
  input  logic                    clk,
  input  logic                    rst,

  // A new record
  input  logic                    write_en,
  input  logic [QP_W-1:0]         write_qpn,
  input  logic [3:0]              write_place,
  input  logic [RSP_RECORD_W-1:0] write_data,

  // Search for what a repeated request wants, among `seek_count` places below `seek_next`
  input  logic                    seek,
  input  logic [QP_W-1:0]         seek_qpn,
  input  logic [3:0]              seek_next,
  input  logic [4:0]              seek_count,
  input  logic [RSP_RECORD_W-1:0] seek_data,
  input  logic [2:0]              seek_mtu,
  output logic                    done,
  output logic                    found,
  output logic [3:0]              place
);

  logic                    begun_q;   // a record is being compared
  logic [3:0]              next_q;    // place that is read
  logic [4:0]              left_q;    // records to compare, this one included
  logic [3:0]              now;       // place to read
  logic [RSP_RECORD_W-1:0] bits;
  rsp_record_t             old;
  rsp_record_t             wish;
  logic [23:0]             offset_psn;
  logic [35:0]             offset;
  logic                    same_read;
  logic                    same_atomic;

  assign now = begun_q ? next_q : seek_next - 4'd1;

  ram_1w1r #(.DATA_W(RSP_RECORD_W), .DEPTH(QP_COUNT * 16)) u_records (
    .clk,
    .wr_en   (write_en),
    .wr_addr ({write_qpn, write_place}),
    .wr_data (write_data),
    .rd_en   (seek),
    .rd_addr ({seek_qpn, now}),
    .rd_data (bits)
  );

  assign old         = bits;
  assign wish        = seek_data;
  assign offset_psn  = wish.psn - old.psn;
  assign offset      = {12'd0, offset_psn} << (4'd7 + 4'(seek_mtu));
  assign same_read   = !wish.atomic && !old.atomic && wish.rkey == old.rkey
                    && (offset_psn == '0 || offset < {4'd0, old.length})
                    && wish.va - old.va == {28'd0, offset}
                    && {4'd0, wish.length} + offset == {4'd0, old.length};
  assign same_atomic = wish.atomic && old.atomic && offset_psn == '0
                    && wish.va == old.va && wish.rkey == old.rkey;

  assign found = begun_q && (same_read || same_atomic);
  assign done  = seek && (seek_count == '0 || (begun_q && (found || left_q == 5'd1)));
  assign place = next_q + 4'd1;

  always_ff @(posedge clk) begin
    if (seek) begin
      next_q <= now - 4'd1;
      left_q <= begun_q ? left_q - 5'd1 : seek_count;
    end
    begun_q <= seek && !done;
    if (rst) begun_q <= 1'b0;
  end

endmodule
