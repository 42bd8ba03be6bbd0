// A client in C++: gate.weights, forward and backward (G.2, G.3, G.4), in float unless SMOEREF_PRECISION is f64.
//
//   c++ -O2 -o gate verify/clients/cxx/gate.cpp
//   smoeref check gate.weights --exec './gate {prompt} {answer}' --precision f32
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "../c/smoeref_client.h"

template <typename Real> struct Token {
    std::vector<std::int64_t> index;
    std::vector<Real> weight, dr;
};

// all: the softmax is over all N, otherwise over the K that were chosen.
template <typename Real>
Token<Real> gate(const std::vector<Real> &r, const std::vector<Real> &dweight, std::size_t K, bool all)
{
    const std::size_t N = r.size();
    Token<Real> out{std::vector<std::int64_t>(N), std::vector<Real>(K), std::vector<Real>(N)};
    std::iota(out.index.begin(), out.index.end(), 0);
    const auto at = [&](std::int64_t i) { return r[static_cast<std::size_t>(i)]; };
    std::stable_sort(out.index.begin(), out.index.end(), [&](auto a, auto b) { return at(a) > at(b); });
    const Real top = at(out.index[0]);
    Real sum = 0, inner = 0;
    for (std::size_t j = 0; j < (all ? N : K); j++) sum += std::exp(at(out.index[j]) - top);
    out.index.resize(K);
    for (std::size_t j = 0; j < K; j++) {
        out.weight[j] = std::exp(at(out.index[j]) - top) / sum;
        inner += out.weight[j] * dweight[j];
    }
    for (std::size_t i = 0; i < N; i++) out.dr[i] = all ? -std::exp(r[i] - top) / sum * inner : Real(0);
    for (std::size_t j = 0; j < K; j++)
        out.dr[static_cast<std::size_t>(out.index[j])] = out.weight[j] * (dweight[j] - inner);
    return out;
}

template <typename Real> void layer(const sr_file &prompt, sr_file &answer)
{
    const sr_tensor *r = sr_find(&prompt, "r"), *dweight = sr_find(&prompt, "d_weight");
    const std::size_t T = r->dim[0], N = r->dim[1], K = static_cast<std::size_t>(sr_int(&prompt, "k"));
    const std::size_t chosen[] = {T, K};
    std::int64_t *index = sr_add_i64(&answer, "index", 2, chosen)->i64;
    double *weight = sr_add(&answer, "weight", 2, chosen)->f64, *dr = sr_add(&answer, "d_r", 2, r->dim)->f64;
    const auto row = [](const double *x, std::size_t n) {
        std::vector<Real> v(n);
        std::transform(x, x + n, v.begin(), [](double y) { return static_cast<Real>(y); });
        return v;
    };
    for (std::size_t t = 0; t < T; t++) {
        const auto token = gate<Real>(row(r->f64 + t * N, N), row(dweight->f64 + t * K, K), K,
                                      sr_is(&prompt, "order", "softmax-topk"));
        std::copy(token.index.begin(), token.index.end(), index + t * K);
        std::copy(token.weight.begin(), token.weight.end(), weight + t * K);
        std::copy(token.dr.begin(), token.dr.end(), dr + t * N);
    }
}

int main(int argc, char **argv)
{
    sr_file prompt, answer = {};
    if (argc != 3 || !sr_read(argv[1], &prompt)) return 1;
    if (std::string(prompt.op) != "gate.weights") return sr_fail(argv[1], "is not computed here"), 1;
    const char *precision = std::getenv("SMOEREF_PRECISION");
    if (precision && std::string(precision) != "f64")
        layer<float>(prompt, answer);
    else
        layer<double>(prompt, answer);
    const bool written = sr_write(argv[2], &answer);
    sr_clear(&prompt);
    sr_clear(&answer);
    return written ? 0 : 1;
}
