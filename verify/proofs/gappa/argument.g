# (N.14) the exponential in doubles, its argument x = k L + R: what is left of x is exact, the small part is off by 2^-96.
# ref/numerics.c: const VECTOR r_high = FMA(k, SPLAT(-0x1.62e42fefa39efp-6), v), r_low = k * SPLAT(-0x1.abc9e3b39803fp-61);
# |k| <= 32736 (|x| <= 709); if k is not 0, |x| > 2^-7 is a multiple of 2^-59.  L = ln 2 / 32 = L1 + L2 up to 2^-113: `make exponentials`.
@rnd = float<ieee_64, ne>;
L1 = 0x1.62e42fefa39efp-6;
L2 = 0x1.abc9e3b39803fp-61;
High = x - k * L1;     high = rnd(High);
low rnd= -k * L2;      Low = -k * L2exact;
{ @FIX(x, -59) /\ @FIX(k, 0) /\ |k| in [1, 32736] /\ |High| in [0, 1b-6] /\ L2 - L2exact in [-1b-113, 1b-113]
  -> high - High in [0, 0] /\ |low| in [0, 1b-45] /\ low - Low in [-1025b-107, 1025b-107] }
low - Low -> (low - (-k * L2)) - k * (L2 - L2exact);
