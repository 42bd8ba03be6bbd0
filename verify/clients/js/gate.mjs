// A client in JavaScript, for node and without a package: gate.weights, forward and backward (G.2, G.3, G.4).
//
//   smoeref check gate.weights --exec 'node verify/clients/js/gate.mjs {prompts} {answers}'      one process for all cases
//   smoeref check gate.weights --exec 'node verify/clients/js/gate.mjs {prompt} {answer}'        one for each
import { readFileSync, writeFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

// --- safetensors: 8 bytes of header length, a JSON header, the data (spec/formats.md) ---

// {tensors: {name: {shape, data}}, metadata}: F64 as Float64Array, I64 as BigInt64Array.
export function read(path) {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString("utf8"));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(entries)) {
    const copy = Uint8Array.from(bytes.subarray(8 + length + begin, 8 + length + end)).buffer; // aligned
    tensors[name] = { shape, data: dtype === "I64" ? new BigInt64Array(copy) : new Float64Array(copy) };
  }
  return { tensors, metadata };
}

export function write(path, tensors) {
  const header = {}, blobs = [];
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = data instanceof BigInt64Array ? "I64" : "F64";
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
    blobs.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, ...blobs]));
}

// --- the equation ---

// One token.  all: the softmax is over all experts, otherwise over the k that were chosen.
function gate(r, dweight, k, all) {
  const index = [...r.keys()].sort((a, b) => r[b] - r[a] || a - b).slice(0, k); // the lower index first among equals
  const top = r[index[0]];
  const sum = (all ? [...r] : index.map((i) => r[i])).reduce((s, x) => s + Math.exp(x - top), 0);
  const weight = index.map((i) => Math.exp(r[i] - top) / sum);
  const inner = weight.reduce((s, w, j) => s + w * dweight[j], 0);
  const dr = [...r].map((x) => (all ? (-Math.exp(x - top) / sum) * inner : 0));
  index.forEach((i, j) => (dr[i] = weight[j] * (dweight[j] - inner)));
  return { index, weight, dr };
}

function answer(promptPath, answerPath) {
  const { tensors, metadata } = read(promptPath);
  if (metadata.op !== "gate.weights") throw new Error(`${metadata.op} is not computed here`);
  const { k, order } = JSON.parse(metadata.parameters);
  const { shape: [T, N], data: r } = tensors.r;
  const index = new BigInt64Array(T * k), weight = new Float64Array(T * k), dr = new Float64Array(T * N);
  for (let t = 0; t < T; t++) {
    const row = gate(r.subarray(t * N, (t + 1) * N), tensors.d_weight.data.subarray(t * k, (t + 1) * k), k, order === "softmax-topk");
    index.set(row.index.map(BigInt), t * k);
    weight.set(row.weight, t * k);
    dr.set(row.dr, t * N);
  }
  write(answerPath, { index: { shape: [T, k], data: index }, weight: { shape: [T, k], data: weight }, d_r: { shape: [T, N], data: dr } });
}

const suffix = ".prompt.safetensors";
const [prompt, out] = process.argv.slice(2);
if (!out) {
  console.error("usage: gate.mjs PROMPT ANSWER, or two folders");
  process.exit(2);
}
if (!statSync(prompt).isDirectory()) answer(prompt, out);
else
  for (const name of readdirSync(prompt))
    if (name.endsWith(suffix)) answer(join(prompt, name), join(out, name.slice(0, -suffix.length) + ".safetensors"));
