# (N.15) sigma(z) for z >= 0 and z < 0, and its derivative: relative errors below 2.51 u, 3.01 u and 5.01 u, u = 2^-53.
# ref/numerics.c: double e = smoe_exp(-fabs(z)), large = 1 / (1 + e), small = e / (1 + e);
# ref/numerics.c: return e / ((1 + e) * (1 + e)); /* (N.15) */
# E = exp(-|z|); e is that, correctly rounded (N.14).  Not for results below 2^-1000.
@rnd = float<ieee_64, ne>;
e = rnd(E);
sum rnd= 1 + e;        Sum = 1 + E;
large rnd= 1 / sum;    Large = 1 / Sum;
small rnd= e / sum;    Small = E / Sum;      Small_e = e / (1 + e);
square rnd= sum * sum;
slope rnd= e / square; Slope = E / (Sum * Sum); Slope_e = e / ((1 + e) * (1 + e));
{ E in [1b-1000, 1]
  -> large -/ Large in [-2571b-63, 2571b-63] /\ small -/ Small in [-3083b-63, 3083b-63] /\ slope -/ Slope in [-5131b-63, 5131b-63] }
# From E to the e that is used, and from there on.
(Small_e - Small) / Small -> ((e - E) / E) / (1 + e) { E <> 0, 1 + e <> 0, 1 + E <> 0 };
(small - Small) / Small -> (small - Small_e) / Small_e + (Small_e - Small) / Small
    + ((small - Small_e) / Small_e) * ((Small_e - Small) / Small) { Small_e <> 0, Small <> 0 };
(Slope_e - Slope) / Slope -> ((e - E) / E) * ((1 - E * e) / ((1 + e) * (1 + e))) { E <> 0, 1 + e <> 0, 1 + E <> 0 };
(slope - Slope) / Slope -> (slope - Slope_e) / Slope_e + (Slope_e - Slope) / Slope
    + ((slope - Slope_e) / Slope_e) * ((Slope_e - Slope) / Slope) { Slope_e <> 0, Slope <> 0 };
