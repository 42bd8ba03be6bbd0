// A test in C++ that judges a function of its own: the softmax (N.22), forward and backward.
//
//   c++ -o judge verify/clients/cxx/judge.cpp $(pkg-config --cflags --libs smoeverify) && ./judge
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include <smoeref/smoe_verify.h>

static std::vector<float> softmax(std::vector<float> z)
{
    const float top = *std::max_element(z.begin(), z.end());
    for (float &x : z) x = std::exp(x - top);
    const float sum = std::accumulate(z.begin(), z.end(), 0.0F);
    for (float &x : z) x /= sum;
    return z;
}

static int one_case(smoe_verify_case *c, void *)
{
    const std::size_t T = smoe_verify_dim(c, 'T'), N = smoe_verify_dim(c, 'N');
    const double *z = smoe_verify_input(c, "z"), *dp = smoe_verify_cotangent(c, "p");
    double *p = smoe_verify_output(c, "p"), *dz = smoe_verify_gradient(c, "z");
    for (std::size_t t = 0; t < T; t++, z += N, dp += N, p += N, dz += N) {
        const auto row = softmax(std::vector<float>(z, z + N));
        const float inner = std::inner_product(row.begin(), row.end(), dp, 0.0F);
        std::copy(row.begin(), row.end(), p);
        std::transform(row.begin(), row.end(), dp, dz,
                       [=](float w, double d) { return w * (static_cast<float>(d) - inner); });
    }
    return 0;
}

int main()
{
    smoe_verify_options o = smoe_verify_defaults();
    o.suite = "smoke,core";
    o.quiet = 1;
    return smoe_verify_judge("numerics.softmax", one_case, nullptr, &o);
}
