# (N.14) the exponential in doubles: hi + lo, for the R between @LOW@ and @HIGH@ in size, is off by less than the `error` that is taken.
# ref/numerics.c: const VECTOR r = r_high + r_low, r2 = r * r; /* what follows is e^r - 1 - r_high = q */
# ref/numerics.c: const VECTOR q6 = FMA(r, SPLAT(0x1.a01a01a01a01ap-13), SPLAT(0x1.6c16c16c16c17p-10)); /* 1/7!, 1/6! */
# ref/numerics.c: const VECTOR q4 = FMA(r2, q6, FMA(r, SPLAT(0x1.1111111111111p-7), SPLAT(0x1.5555555555555p-5)));
# ref/numerics.c: const VECTOR q2 = FMA(r2, q4, FMA(r, SPLAT(0x1.5555555555555p-3), SPLAT(0.5))), q = FMA(r2, q2, r_low);
# ref/numerics.c: const VECTOR s = t * r_high, rest = FMA(t, q, FMA(t_low, r_high, t_low) + FMA(t, r_high, -s));
# ref/numerics.c: const VECTOR noise = FMA(size, SPLAT(less_one ? 0x1p-100 : 0), SPLAT(less_one ? 0 : 0x1p-85));
# ref/numerics.c: const VECTOR error = FMA(FMA(r2, SPLAT(0x1p-49), noise), inner, noise);
# The truth is 2^(j/32) e^R, the power t + tl up to 2^-105 (`make exponentials`), e^R = 1 + R + R^2 (Q2 + Tau): the series that is left
# out is below R^6/8! 1.01 < 2^-54.  r_high is exact, r_low off by 2^-96 (argument.g).  hi + lo = h + l, and h + k = t + s: exact sums, the larger first.
# prove.sh asks it for 100 and more ranges of R that cover 0 to 0.01084; the bound of each is 2^-49 LOW^2 + 2^-85, rounded down.
@rnd = float<ieee_64, ne>;
t = rnd(t_); tl = rnd(tl_); high = rnd(high_); low = rnd(low_);
r rnd= high + low;                                                          R = high + Low;
r2 rnd= r * r;
q6 rnd= r * 0x1.a01a01a01a01ap-13 + 0x1.6c16c16c16c17p-10;                  Q6 = R * (1/5040) + 1/720;
q5 rnd= r * 0x1.1111111111111p-7 + 0x1.5555555555555p-5;                    Q5 = R * (1/120) + 1/24;
q4 rnd= r2 * q6 + q5;                                                       Q4 = (R * R) * Q6 + Q5;
q3 rnd= r * 0x1.5555555555555p-3 + 0.5;                                     Q3 = R * (1/6) + 1/2;
q2 rnd= r2 * q4 + q3;                                                       Q2 = (R * R) * Q4 + Q3;
q rnd= r2 * q2 + low;                                                       Q = Low + R * R * (Q2 + Tau);
s rnd= t * high;
m = t * high - s;
a rnd= tl * high + tl;
b rnd= a + m;
rest rnd= t * q + b;
h rnd= t + s;
k = t + s - h;
l rnd= k + rest;
Value = h + l;                                                              True = (t + tl + Tail) * (1 + high + Q);
{ |R| in [@LOW@, @HIGH@] /\ |high| in [@LOWER@, @HIGHER@] /\ |Low| in [0, 1b-45] /\ low - Low in [-1025b-107, 1025b-107]
  /\ Tau in [-1b-54, 1b-54] /\ t in [1, 1.98] /\ |tl| in [0, 1b-53] /\ |Tail| in [0, 1b-105]
  -> |Value - True| in [0, @BOUND@] }
r - R -> (r - (high + low)) + (low - Low);
q - Q -> (q - (r2 * q2 + low)) + (low - Low) + (r2 * q2 - (R * R) * Q2) - R * R * Tau;
Value - True -> (l - (k + rest)) + (rest - (t * q + b)) + (b - (a + m)) + (a - (tl * high + tl)) + t * (q - Q) - tl * Q
    - Tail * (1 + high + Q);
