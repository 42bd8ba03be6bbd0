# (N.20) Phi(x), and (N.18) GELU(x), for |x| <= 37: relative errors below 2.01 u and 3.01 u, u = 2^-53.
# ref/numerics.c: return fma(-u * sqrt2, smoe_normal_pdf(x), 0.5 * smoe_erfc(t)); /* (N.20) */
# ref/numerics.c: return x * smoe_normal_cdf(x); /* (N.18) */
# A = erfc(t)/2, correctly rounded to a, so Phi = A (1 + Change), Change = -sqrt2 u phi / A to first order.  What the code adds
# to a is `change`: for |x| <= 37, phi / Phi < 38, and |u| < 2^-52 |x| (square.g), so |Change| <= 2^-41.  It is off by four
# roundings and the density's 3.51 u (density.g), below 2^-49 of it, and by the second order, below Change^2 = 2^-82.
@rnd = float<ieee_64, ne>;
a = rnd(A);
Phi_a = a * (1 + change);
phi = rnd(Phi_a);      Phi = A * (1 + Change);
x = rnd(x_);
y rnd= x * phi;        Y = x * Phi;
{ A in [1b-1000, 1] /\ Change in [-1b-41, 1b-41] /\ change - Change in [-1b-81, 1b-81] /\ |x| in [1b-20, 37]
  -> phi -/ Phi in [-2059b-63, 2059b-63] /\ y -/ Y in [-3083b-63, 3083b-63] }
(Phi_a - Phi) / Phi -> ((a - A) / A * (1 + change) + (change - Change)) / (1 + Change) { A <> 0, 1 + Change <> 0 };
(phi - Phi) / Phi -> (phi - Phi_a) / Phi_a + (Phi_a - Phi) / Phi + ((phi - Phi_a) / Phi_a) * ((Phi_a - Phi) / Phi)
    { Phi_a <> 0, Phi <> 0 };
