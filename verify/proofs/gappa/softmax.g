# (N.22) a softmax of four, its differences z_i - m as they are: relative error below 4.51 u for the largest, 5.51 u for others, u = 2^-53.
# ref/numerics.c: p[i] = smoe_exp(z[i] - m);
# ref/numerics.c: p[i] = p[i] / sum; /* (N.22) */
# The largest has the exponential 1, exactly; the others e, f, g, correctly rounded (N.14).  First to last.
@rnd = float<ieee_64, ne>;
e = rnd(E); f = rnd(F); g = rnd(G);
two rnd= 1 + e;        Two = 1 + E;
three rnd= two + f;    Three = Two + F;
four rnd= three + g;   Four = Three + G;
largest rnd= 1 / four; Largest = 1 / Four;
other rnd= g / four;   Other = G / Four;
{ E in [1b-900, 1] /\ F in [1b-900, 1] /\ G in [1b-900, 1]
  -> largest -/ Largest in [-4619b-63, 4619b-63] /\ other -/ Other in [-5643b-63, 5643b-63] }
