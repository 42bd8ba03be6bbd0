# (N.18), (N.20), (N.21) what a square and a product by 1/sqrt(2) lack: r = x^2 - q exactly, u = -x/sqrt(2) - t up to 2^-104,
# which is below 2^-52.  For x in [1, 2]; other x scale both by a power of two.
# ref/numerics.c: double q = x * x, r = fma(x, x, -q), e = smoe_exp(-c * q);
# ref/numerics.c: double t = -x * c, u = fma(-x, c, -t) - x * d;
# S = 1/sqrt(2) = c + d up to 2^-108.
@rnd = float<ieee_64, ne>;
x = rnd(x_);
c = 0x1.6a09e667f3bcdp-1;
d = -0x1.bdd3413b26456p-55;
q rnd= x * x;
R = x * x - q;         r = rnd(R);
t rnd= -x * c;
V = -x * c - t;        v = rnd(V);
product rnd= x * d;
u rnd= v - product;    U = -x * S - t;
{ x in [1, 2] /\ @FIX(x, -52) /\ S - (c + d) in [-1b-108, 1b-108]
  -> r - R in [0, 0] /\ v - V in [0, 0] /\ u - U in [-1b-104, 1b-104] /\ |U| in [0, 1b-52] }
u - U -> (u - (v - product)) + (v - V) - (product - x * d) + x * (S - (c + d));
