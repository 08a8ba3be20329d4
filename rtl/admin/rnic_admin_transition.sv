// rnic_admin_transition: the state machine of a reliable connection, as a table.
//
// Pure logic. Which changes of state a MODIFY_QP may ask for, which attributes it must carry and
// which it may carry: rocev2 5.2 for RC. Alternate paths do not exist on Ethernet.
`include "layouts.svh"
`include "codes.svh"

module rnic_admin_transition (
  input  logic [2:0]  from,
  input  logic [2:0]  to,

  output logic        allowed,
  output logic [31:0] required,
  output logic [31:0] optional
);

  localparam logic [31:0] ATTR_INIT = QP_ATTR_PKEY_INDEX | QP_ATTR_PORT | QP_ATTR_ACCESS_FLAGS;
  localparam logic [31:0] ATTR_RTR  = QP_ATTR_AV | QP_ATTR_PATH_MTU | QP_ATTR_DEST_QPN
                                    | QP_ATTR_RQ_PSN | QP_ATTR_MAX_DEST_RD_ATOMIC
                                    | QP_ATTR_MIN_RNR_TIMER;
  localparam logic [31:0] ATTR_RTS  = QP_ATTR_TIMEOUT | QP_ATTR_RETRY_CNT | QP_ATTR_RNR_RETRY
                                    | QP_ATTR_SQ_PSN | QP_ATTR_MAX_RD_ATOMIC;
  localparam logic [31:0] ATTR_LIVE = QP_ATTR_CUR_STATE | QP_ATTR_ACCESS_FLAGS
                                    | QP_ATTR_MIN_RNR_TIMER;
  localparam logic [31:0] ATTR_SQD  = QP_ATTR_PORT | QP_ATTR_AV | QP_ATTR_TIMEOUT
                                    | QP_ATTR_RETRY_CNT | QP_ATTR_RNR_RETRY
                                    | QP_ATTR_MAX_RD_ATOMIC | QP_ATTR_MAX_DEST_RD_ATOMIC
                                    | QP_ATTR_ACCESS_FLAGS | QP_ATTR_PKEY_INDEX
                                    | QP_ATTR_MIN_RNR_TIMER;

  always_comb begin
    allowed  = 1'b1;
    required = '0;
    optional = '0;
    case ({from, to})
      {QP_STATE_RESET, QP_STATE_INIT}: required = ATTR_INIT;
      {QP_STATE_INIT,  QP_STATE_INIT}: optional = ATTR_INIT;
      {QP_STATE_INIT,  QP_STATE_RTR}: begin
        required = ATTR_RTR;
        optional = QP_ATTR_ACCESS_FLAGS | QP_ATTR_PKEY_INDEX;
      end
      {QP_STATE_RTR,   QP_STATE_RTS}: begin
        required = ATTR_RTS;
        optional = ATTR_LIVE;
      end
      {QP_STATE_RTS,   QP_STATE_RTS}: optional = ATTR_LIVE;
      {QP_STATE_RTS,   QP_STATE_SQD}: optional = QP_ATTR_EN_SQD_ASYNC_NOTIFY;
      {QP_STATE_SQD,   QP_STATE_SQD}: optional = ATTR_SQD;
      {QP_STATE_SQD,   QP_STATE_RTS}: optional = ATTR_LIVE;
      {QP_STATE_RESET, QP_STATE_ERR}: allowed  = 1'b0;
      default:         allowed = to == QP_STATE_RESET || to == QP_STATE_ERR;
    endcase
  end

endmodule
