"""What a RoCEv2 device must do, item by item: the numbers that tests name.

A title says in a few words what is decided; the specification has the sentence. An item is either
named by a test (`tb.conformance.covers`) or stands in LEFT_OUT with the reason; `make conformance`
judges them.
"""

from __future__ import annotations

_TITLES = """
001 UDP port, protocol and EtherType of what is sent
002 IPv4 header of what is sent: no options, no fragments, right checksum
003 IP and UDP lengths agree with the packet
004 UDP checksum is sent as 0
005 any UDP checksum is taken
006 one UDP source port per queue pair, in the dynamic range
007 any UDP source port is taken
008 other UDP destination ports do not get in
009 IPv4 options and fragments are dropped
010 wrong IPv4 checksum is dropped
011 Ethernet padding behind the packet does no harm
012 IP length beyond the frame is dropped
013 packets shorter than their headers are dropped
014 802.1Q tags are taken
015 TTL, DSCP, ECN, flow label and identification do not matter
016 foreign destination address is dropped
017 source address other than the peer's is dropped
018 no payload longer than the path MTU is sent
019 reserved bits are sent as 0 and ignored; AETH bit 7 drops the packet
020 transport version other than 0 is dropped
021 opcode classes that do not exist here are dropped
022 reserved opcodes are no responses
023 pad is sent as zeros, as long as needed
024 content of received pad is ignored
025 byte order of headers and ICRC
026 SE only in the last packet of a solicited message
027 ICRC of every test vector
028 ICRC does not see what routers change
029 ICRC sees every other bit
030 one wrong ICRC bit: dropped without a trace
031 ICRC in big endian is dropped
032 ICRC of a packet that is only a BTH
033 scapy and zlib agree with the ICRC of what is sent
034 payload with bad ICRC never shows in memory
035 Only for up to one PMTU, else First, Middle, Last
036 full First and Middle, Last of 1 to PMTU bytes
037 no empty Last
038 zero length: SEND Only and WRITE Only without payload
039 RETH only where it belongs
040 RETH carries the length of the message
041 RETH before ImmDt
042 immediate data keeps its byte order
043 IETH only in SEND Last and Only with Invalidate
044 layout of AtomicETH
045 AETH in READ Response First, Last, Only and not in Middle
046 an acknowledge is 20 bytes
047 layout of a CNP
048 XRCETH behind the BTH of every XRC request
049 layout of FLUSH and ATOMIC WRITE
050 PSNs start at sq_psn and count packets
051 a READ takes as many PSNs as responses
052 PSNs wrap without loss
053 never 2^23 PSNs outstanding
054 last packet of a message asks for an acknowledge
055 a long message asks at least every 128 packets
056 UC and UD do not ask for acknowledges
057 no more reads and atomics than max_rd_atomic
058 nothing overtakes a stalled READ
059 a fence waits for reads and atomics
060 LOCAL_INV waits for everything before it
061 completions in the order of posting
062 unsignaled success is silent, failure never
063 a message over the maximum is not sent
064 local key violation on gather is not sent
065 inline data is copied when posted, without a key
066 P_Key and destination queue pair of requests
067 no deadlock with a responder that gives no credits
068 credit code 0x1F is no limit
069 a repeated packet is the same packet
070 an ACK completes what lies before it and nothing else
071 an ACK inside a message is progress and completes nothing
072 old ACKs have no effect
073 ACKs of what was never sent are dropped
074 a sequence NAK completes what is before it and goes back to it
075 NAK codes give their status and the error state
076 reserved NAK codes complete nothing with success
077 before a fatal NAK success, behind it flush
078 an ACK that skips a READ is an implied NAK
079 one retransmission per burst of responses out of order
080 a READ goes on where its answer broke off
081 short READ Response Middle ends the connection
082 unexpected response opcode ends the connection
083 READ data reaches its place in every SGE
084 atomic answer in host order, 8 bytes
085 the timer is never short; 0 never expires
086 exactly retry_cnt retries
087 retry_cnt 0 fails at once
088 progress restores the retry counters
089 an RNR NAK pauses for its time
090 rnr_retry counts, and 7 is for ever
091 a sequence NAK does not shorten the RNR pause
092 no time-out during the RNR pause
093 a lost ACK costs no second completion
094 responses before RTS are dropped
095 an ACK during a retransmission shortens it
096 the expected request is executed and the PSN moves on
097 a gap is answered by one NAK
098 no second NAK while one stands
099 a new gap gets a new NAK
100 half of the PSN space is old, half is ahead
101 a duplicate SEND or WRITE is not executed
102 a duplicate that asks gets the newest ACK
103 a duplicate READ is answered from memory, First or Only first
104 a duplicate READ that does not match is dropped
105 a duplicate atomic returns the saved value
106 forgotten reads and atomics are dropped
107 a duplicate FLUSH or ATOMIC WRITE is answered, not executed
108 Middle or Last without First
109 a new message inside another
110 WRITE packet inside a SEND, and the reverse
111 reserved RC opcodes are refused
112 opcode class of another transport is dropped
113 requests in RESET, INIT and ERR are dropped
114 requests in RTR are served
115 first request in RTR raises COMM_EST
116 SEND without receive: RNR NAK
117 the same SEND is taken once a receive is there
118 WRITE with immediate needs a receive at its last packet only
119 shared receive queue: RNR, and no credits
120 plain WRITE needs no receive
121 SEND longer than its receive
122 SEND that fills its receive
123 First or Middle that is not full
124 Last that is empty or too long
125 WRITE whose packets do not add up
126 WRITE over the maximum
127 operation that the queue pair does not allow
128 every way in which an R_Key is wrong
129 zero length needs no R_Key
130 WRITE up to the end of a region, and one byte beyond
131 range that wraps the address space
132 WRITE First out of range writes nothing
133 misaligned atomic
134 atomic without the right
135 receive SGE protection error
136 too many reads and atomics
137 READ where none is allowed
138 silence after the error
139 event when no receive tells of the error
140 every request that asks is acknowledged
141 no ACK before the payload is placed
142 no ACK passes a READ or atomic
143 responses in PSN order
144 MSN counts messages from 0
145 READ responses carry the MSN that includes them
146 number and PSNs of READ responses
147 empty READ
148 READ of up to one PMTU
149 WRITE is visible before the SEND behind it completes
150 READ behind a WRITE sees it
151 arithmetic of the atomics
152 atomics of two queue pairs are serialised
153 completion of WRITE with immediate
154 SEND with Invalidate invalidates
155 SEND with Invalidate of what cannot be
156 solicited events
157 a receive error fires a solicited arm
158 CQ overflow
159 ATOMIC WRITE
160 FLUSH
161 a coalesced ACK is not late
162 UC: a gap drops the message
163 UC: never a response
164 UC: the receive of a dropped message is used again
165 UC: R_Key violation drops the message
166 UC: no completion of a broken WRITE with immediate
167 UD: wrong Q_Key
168 UD: PSN does not matter
169 UD: 40 bytes before the payload
170 UD: where the IP header lies in them
171 UD: Q_Key of the queue pair
172 UD: message over the MTU
173 UD: no receive
174 GSI: Q_Key
175 GSI: shape of a MAD
176 queue pair 0 takes nothing
177 multicast
178 state transitions and their attributes
179 no send before RTS
180 receives from INIT on
181 ERR flushes everything in order
182 SQD finishes what was begun, and says so
183 SQD to RTS resumes
184 SQE of UD and UC
185 RESET forgets
186 RC never enters SQE
187 LAST_WQE_REACHED
188 SRQ_LIMIT_REACHED
189 min_rnr_timer may change in RTS
190 PSN attributes have 24 bits
191 key byte
192 protection domain
193 free and invalid regions
194 fast registration
195 LOCAL_INV ends remote access
196 remote invalidation, and what it may not touch
197 page lists
198 zero-based addresses
199 type 2 window and its queue pair
200 binds that are refused
201 region with windows cannot go
202 no local write without LOCAL_WRITE
203 CM: REQ byte for byte
204 CM: REP, RTU, DREQ, DREP, REJ byte for byte
205 CM: transaction IDs
206 CM: starting PSN
207 CM: service ID of a port
208 CM: IP header in the private data
209 CM: no listener
210 CM: duplicate REQ
211 CM: queue pair in use
212 CM: duplicate REP
213 CM: DREQ for nobody
214 CM: DREQ in TIMEWAIT
215 CM: DREQ for another queue pair
216 CM: retries of a REQ
217 CM: MRA
218 CM: private data of a REJ
219 CM: depths crosswise
220 CM: passive side is ready before its REP
221 CM: malformed MADs
222 CM: TIMEWAIT before reuse
223 ECN marking, and CNPs not too often
224 where a CNP goes
225 a CNP slows the queue pair and does nothing else
226 the rate comes back
227 the way in does not wait for the way out
228 one packet in a hundred lost
229 packets out of order
230 every packet twice
231 corrupted packets
232 any starting PSN
233 queue pairs do not disturb each other
234 every path MTU with every length
235 counters
236 Soft-RoCE's answers to a repeated READ are taken
237 and to no other
238 Soft-RoCE's FLUSH is dropped
239 going back behind an RNR NAK changes nothing
240 an access error inside a READ fails it
241 CM: MRA for a REP
242 a READ broken off may be asked for late
"""

ITEMS: dict[str, str] = {f"ROCE-{line[:3]}": line[4:] for line in _TITLES.strip().splitlines()}
"""Number to title."""


def _group(reason: str, *numbers: int) -> dict[str, str]:
    return {f"ROCE-{number:03}": reason for number in numbers}


LEFT_OUT: dict[str, str] = {
    **_group("XRC is not offered", 48),
    **_group("FLUSH and ATOMIC WRITE are not offered; requests are refused (ROCE-111)",
             49, 107, 159, 160),
    **_group("UC and UD come with a later milestone", 56, *range(162, 174), 184),
    **_group("the GSI queue pair comes with a later milestone", 174, 175),
    **_group("multicast comes with UD, in a later milestone", 177),
    **_group("memory windows come with a later milestone", 199, 200, 201),
    **_group("connection management comes with a later milestone", *range(203, 223), 241),
}  # fmt: skip
"""Items that no test decides, and why."""
