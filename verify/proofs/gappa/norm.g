# (N.24) the norm of three numbers, scaled to [-1, 1]: relative error below 2.53 u, and (N.11) its chain below 3.01 u, u = 2^-53.
# ref/numerics.c: s = fma(x[i] * scale, x[i] * scale, s);
# ref/numerics.c: return ldexp(sqrt(s), e);
@rnd = float<ieee_64, ne>;
x = rnd(x_); y = rnd(y_); z = rnd(z_);
one rnd= x * x;          One = x * x;
two rnd= y * y + one;    Two = y * y + One;
three rnd= z * z + two;  Three = z * z + Two;
norm rnd= sqrt(three);   Norm = sqrt(Three);
{ |x| in [1b-500, 1] /\ |y| in [1b-500, 1] /\ |z| in [1b-500, 1]
  -> three -/ Three in [-3083b-63, 3083b-63] /\ norm -/ Norm in [-2581b-63, 2581b-63] }
