# (N.17) SiLU(z): relative error below 3.51 u for z >= 0 and 4.01 u for z < 0, u = 2^-53.
# ref/numerics.c: return (z >= 0 ? 1 : e) / (1 + e); /* (N.15) */
# ref/numerics.c: return z * smoe_sigmoid(z); /* (N.17) */
# E = exp(-|z|); e is that, correctly rounded (N.14).
@rnd = float<ieee_64, ne>;
z = rnd(z_);
e = rnd(E);
sum rnd= 1 + e;        Sum = 1 + E;
large rnd= 1 / sum;    Large = 1 / Sum;
small rnd= e / sum;    Small = E / Sum;      Small_e = e / (1 + e);
right rnd= z * large;  Right = z * Large;
left rnd= z * small;   Left = z * Small;
{ E in [1b-900, 1] /\ |z| in [1b-100, 700]
  -> right -/ Right in [-3595b-63, 3595b-63] /\ left -/ Left in [-4107b-63, 4107b-63] }
(Small_e - Small) / Small -> ((e - E) / E) / (1 + e) { E <> 0, 1 + e <> 0, 1 + E <> 0 };
(small - Small) / Small -> (small - Small_e) / Small_e + (Small_e - Small) / Small
    + ((small - Small_e) / Small_e) * ((Small_e - Small) / Small) { Small_e <> 0, Small <> 0 };
