# (N.21) phi(x) for |x| <= 37: relative error below 3.51 u, u = 2^-53.
# ref/numerics.c: return fma(e, -c * r, e);
# ref/numerics.c: return gaussian(0.5, x) * inv_sqrt_2pi; /* (N.21) */
# G = exp(-q/2), correctly rounded to g; exp(-r/2) = 1 - r/2 + Tail, Tail <= (r/2)^2, where |r| <= 37^2 2^-53 < 2^-42 (square.g: r is
# exact); C = 1/sqrt(2 pi), whose double is within 2^-54 of it.  The fma's argument is g (1 - r/2).
@rnd = float<ieee_64, ne>;
c = 0x1.9884533d43651p-2;
g = rnd(G);
r = rnd(r_);
Power_g = g * (1 - r / 2);
power = rnd(Power_g);  Power = G * (1 - r / 2 + Tail);
p rnd= power * c;      P = Power * C;
{ G in [1b-1000, 1] /\ |r| in [0, 1b-42] /\ Tail in [0, 1b-86] /\ c -/ C in [-1b-54, 1b-54] /\ C in [0.39, 0.4]
  -> power -/ Power in [-2059b-63, 2059b-63] /\ p -/ P in [-3595b-63, 3595b-63] }
(Power_g - Power) / Power -> ((g - G) / G) - (1 + (g - G) / G) * (Tail / (1 - r / 2 + Tail)) { G <> 0, 1 - r / 2 + Tail <> 0 };
(power - Power) / Power -> (power - Power_g) / Power_g + (Power_g - Power) / Power
    + ((power - Power_g) / Power_g) * ((Power_g - Power) / Power) { Power_g <> 0, Power <> 0 };
