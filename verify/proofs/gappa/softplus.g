# (N.16) softplus(z): relative error below 2.01 u for z <= 0, 3.01 u for z > 0, u = 2^-53.
# ref/numerics.c: return smoe_log1p(smoe_exp(-fabs(z))) + (z > 0 ? z : 0); /* (N.16) */
# L = log1p(exp(-|z|)); Le is log1p of the rounded exponential, off by u relatively at most, since the condition number of
# log1p, e / ((1 + e) log1p(e)), is at most 1; l is Le, correctly rounded (N.14).
@rnd = float<ieee_64, ne>;
l = rnd(Le);
z = rnd(z_);
y rnd= l + z;          Y = L + z;
{ L in [1b-1000, 1] /\ z in [0, 700] /\ Le -/ L in [-8388609b-76, 8388609b-76]
  -> l -/ L in [-2059b-63, 2059b-63] /\ y -/ Y in [-3083b-63, 3083b-63] }
