# (N.11) a chain of four products of numbers in [-1, 1]: absolute error at most 7 u, u = 2^-53.
# ref/numerics.c: s = fma(x[i], y[i], s); /* (N.11) */
@rnd = float<ieee_64, ne>;
x1 = rnd(x1_); x2 = rnd(x2_); x3 = rnd(x3_); x4 = rnd(x4_);
y1 = rnd(y1_); y2 = rnd(y2_); y3 = rnd(y3_); y4 = rnd(y4_);
one rnd= x1 * y1;
two rnd= x2 * y2 + one;
three rnd= x3 * y3 + two;
four rnd= x4 * y4 + three;
Four = x4 * y4 + (x3 * y3 + (x2 * y2 + x1 * y1));
{ |x1| in [0, 1] /\ |x2| in [0, 1] /\ |x3| in [0, 1] /\ |x4| in [0, 1] /\ |y1| in [0, 1] /\ |y2| in [0, 1] /\ |y3| in [0, 1] /\ |y4| in [0, 1]
  -> four - Four in [-7b-53, 7b-53] }
