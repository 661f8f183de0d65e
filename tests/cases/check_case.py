#!/usr/bin/env python3
"""Compares a trained .keras file (or other values) with the expected values of a case. Needs numpy and h5py only.

usage: check_case.py CASE TRAINED [--step N] [--initial FILE] [--skip-optimizer] [--verbose]
       check_case.py CASE --values VALUES.npz [--verbose]

TRAINED  a .keras file, a legacy .h5 file or a .weights.h5 file. --step picks the step its weights belong to (default: the last one of the case).
VALUES   an .npz with any of the keys of expected.npz (output, grad/..., step_logs/loss, learning_rate, ...); the keys it has are compared.
A weight tensor t passes when  max|t - e| <= atol + rtol * max|e| + utol * max|e - initial|,  so an untrained file does not pass.
Exit status: 0 equal within tolerance, 1 different, 2 the files cannot be compared.
"""
import os, sys, io, json, zipfile
import numpy as np


def model_file(case):
    return {"keras": "model.keras", "legacy_h5": "model.h5", "json+weights": "model.weights.h5"}[case["format"]]


def dump_json(c, path):
    with open(path, "w") as f: f.write(json.dumps(c, indent=1) + "\n")


def read_weights(path):
    """{dataset path: array}, config dict or None. Legacy .h5: model_weights/LAYER/WEIGHT and optimizer_weights/..."""
    import h5py
    cfg = None
    if zipfile.is_zipfile(path):
        z = zipfile.ZipFile(path)
        bad = z.testzip()
        if bad: raise ValueError(f"{path}: bad checksum of {bad}")
        cfg = json.loads(z.read("config.json")); json.loads(z.read("metadata.json"))
        f = h5py.File(io.BytesIO(z.read("model.weights.h5")), "r")
    else:
        f = h5py.File(path, "r")
        if "model_config" in f.attrs: cfg = json.loads(f.attrs["model_config"])
    out = {}

    def visit(n, o):
        if isinstance(o, h5py.Dataset): out[n] = o[()]
    f.visititems(visit); f.close()
    return out, cfg


def structure(cfg):
    """class names and layer names, for comparing two configs"""
    r = []

    def walk(c):
        if isinstance(c, dict):
            if "class_name" in c and "config" in c and isinstance(c["config"], dict) and c["class_name"] != "__keras_tensor__":
                r.append((c["class_name"], c["config"].get("name")))
            for v in c.values(): walk(v)
        elif isinstance(c, list):
            for v in c: walk(v)
    walk({k: v for k, v in cfg.items() if k in ("config", "class_name")})
    return r


def f64(a): return np.asarray(a, dtype="float64")


def mx(a): return float(np.max(np.abs(a))) if np.size(a) else 0.0


def summarise(e, init):
    """small stand-in for expected.npz: 64 elements of each large array, its norm, and its largest update"""
    s = {}
    for k, v in e.items():
        v = np.asarray(v)
        if is_weight_key(k) and is_opt(k.split("/", 1)[1]) and v.ndim: continue
        if v.size <= 64: s[k] = v
        else:
            s[k + "@sample"] = v.ravel()[np.linspace(0, v.size - 1, 64).astype(int)]
            s[k + "@l2"] = np.linalg.norm(f64(v).ravel())
        w = k.split("/", 1)[1] if "/" in k else k
        if w in init: s[k + "@update"] = mx(f64(v) - f64(init[w]))
    return s


def is_weight_key(k): return k.startswith("step") and not k.startswith("step_logs") or k.startswith("final/")


def is_opt(w): return w.startswith(("optimizer/", "optimizer_weights/"))


def opt_floor(exp):
    """absolute tolerance for optimizer state: a slot whose true gradient is zero holds rounding noise of the size of the other gradients"""
    return 3e-7 * max([mx(f64(v)) for k, v in exp.items() if is_weight_key(k) and "@update" not in k and "@l2" not in k and is_opt(k.split("/", 1)[1]) and np.ndim(v)] + [0.0])


def differences(e, g, init):
    """how far two backends are apart, per kind of value; used to set the tolerances"""
    r = dict(weights=0.0, optimizer=0.0, output=0.0, logs=0.0, per_weight={})
    floor = opt_floor(e)
    for k in e:
        if k.startswith("grad/"): continue
        if k not in g: r.setdefault("missing", []).append(k); continue
        a, b = f64(e[k]), f64(g[k]); d = mx(a - b)
        if is_weight_key(k):
            w = k.split("/", 1)[1]
            if is_opt(w): r["optimizer"] = max(r["optimizer"], max(0.0, d - floor) / (mx(a) + 1e-12))
            else:
                u = max(0.0, d - 2e-7 - 1e-6 * mx(a)) / (mx(a - f64(init[w])) + 1e-12)
                r["per_weight"][k] = u
        elif k.startswith("output"): r["output"] = max(r["output"], d / (mx(a) + 1e-12))
        else: r["logs"] = max(r["logs"], d / (mx(a) + 1e-7))
    for k in g:
        if k not in e: r.setdefault("extra", []).append(k)
    r["per_weight"] = dict(sorted(r["per_weight"].items(), key=lambda t: -t[1])[:40])
    r["weights"] = max(list(r["per_weight"].values()) + [0.0])
    return r


# What a case without "tolerance" is held to: the floors of tolerances() below.
FLOORS = dict(atol=2e-7, rtol=1e-6, utol=1e-3, optimizer_rtol=2e-3, output_rtol=1e-5, output_atol=1e-6, logs_rtol=2e-5, logs_atol=1e-6, grad_rtol=1e-4)


def tolerances(x, e, case):
    gm = {k[5:]: mx(v) for k, v in e.items() if k.startswith("grad/")}
    ignore = list(case.get("ignore_by_hand", []))
    if gm:
        med = float(np.median(list(gm.values())))
        for w, v in gm.items():
            seen = max([u for k, u in x.get("per_weight", {}).items() if k.split("/", 1)[1] == w] + [0.0])
            if v < 1e-5 * med and seen > 0.01: ignore.append(w)
    left = [u for k, u in x.get("per_weight", {}).items() if k.split("/", 1)[1] not in ignore]
    w = max(left + [0.0])
    t = dict(atol=2e-7, rtol=1e-6, utol=float(f"{min(0.2, max(1e-3, 10 * w)):.2g}"),
             optimizer_rtol=float(f"{min(0.2, max(2e-3, 10 * x.get('optimizer', 0) if not ignore else 0)):.2g}"),
             output_rtol=float(f"{min(0.05, max(1e-5, 10 * x.get('output', 0))):.2g}"), output_atol=1e-6,
             logs_rtol=float(f"{min(0.05, max(2e-5, 10 * x.get('logs', 0))):.2g}"), logs_atol=1e-6, grad_rtol=float(f"{max(1e-4, min(0.05, 10 * w)):.2g}"))
    r = dict(tolerance=t, observed=dict(backend=x.get("backend"), weights=float(f"{w:.2g}"), optimizer=float(f"{x.get('optimizer', 0):.2g}"),
             output=float(f"{x.get('output', 0):.2g}"), logs=float(f"{x.get('logs', 0):.2g}")))
    if ignore: r["ignore"] = sorted(set(ignore))
    return r


def compare_weights(case, exp, init, trained, prefix, skip_opt=False, verbose=False):
    """list of failure lines"""
    t = case["tolerance"]; ign = set(case.get("ignore", [])); bad = []; worst = (0.0, ""); floor = opt_floor(exp)
    full = {k[len(prefix):]: k for k in exp if k.startswith(prefix) and "@" not in k}
    samp = {k[len(prefix):-7]: k for k in exp if k.startswith(prefix) and k.endswith("@sample")}
    for w in list(full) + list(samp):
        if is_opt(w) and skip_opt: continue
        if w not in trained: bad.append(f"missing weight {w}"); continue
        a = f64(trained[w])
        e = f64(exp[full[w]]) if w in full else f64(exp[samp[w]])
        if w in full and a.shape != e.shape: bad.append(f"{w}: shape {a.shape}, expected {e.shape}"); continue
        if not np.all(np.isfinite(a)): bad.append(f"{w}: has a value that is not finite"); continue
        if w in samp: a = a.ravel()[np.linspace(0, a.size - 1, 64).astype(int)]
        d = mx(a - e); i = np.unravel_index(np.argmax(np.abs(a - e)), a.shape) if a.size else ()
        if is_opt(w): lim = floor + t["optimizer_rtol"] * mx(e); upd = mx(e)
        else:
            if prefix + w + "@update" in exp: upd = float(exp[prefix + w + "@update"])
            elif init is not None and w in init: upd = mx(f64(exp[full[w]]) - f64(init[w]))
            else: upd = 0.0
            lim = t["atol"] + t["rtol"] * mx(e) + t["utol"] * upd
        if w in ign: lim = float("inf")
        if any(w.startswith(p) for p in ign if is_opt(p)): lim = float("inf")
        line = f"{w}: max abs difference {d:.3g} (limit {lim:.3g}), relative to the largest value {d / (mx(e) + 1e-30):.2g}, to the largest update {d / (upd + 1e-30):.2g}"
        if d > lim: bad.append(line + f"; at {tuple(int(q) for q in i)} got {a[i]:.8g}, expected {e[i]:.8g}")
        elif verbose: print("  ok " + line)
        if lim > 0 and d / lim > worst[0] and np.isfinite(lim): worst = (d / lim, w)
    return bad, worst, len(full) + len(samp)


def compare_values(case, exp, got, verbose=False):
    t = case["tolerance"]; bad = []; n = 0
    for k in got:
        if is_weight_key(k): continue
        if k not in exp and k + "@sample" not in exp: print(f"  not in this case: {k}"); continue
        a = f64(got[k]); e = f64(exp[k] if k in exp else exp[k + "@sample"]); n += 1
        if k not in exp: a = a.ravel()[np.linspace(0, a.size - 1, 64).astype(int)]
        kind = "output" if k.startswith("output") else "grad" if k.startswith("grad/") else "logs"
        if a.shape != e.shape: bad.append(f"{k}: shape {a.shape}, expected {e.shape}"); continue
        d = mx(a - e); lim = t.get(kind + "_atol", 1e-7) + t[kind + "_rtol"] * mx(e)
        line = f"{k}: max abs difference {d:.3g} (limit {lim:.3g})"
        if not d <= lim: bad.append(line)
        elif verbose: print("  ok " + line)
    return bad, n


def expected_of(d):
    for n in ("expected.npz", "summary.npz"):
        if os.path.exists(os.path.join(d, n)): return dict(np.load(os.path.join(d, n)))
    raise FileNotFoundError("no expected.npz or summary.npz in " + d)


def main(argv):
    pos = []; opt = {}; i = 0
    while i < len(argv):
        a = argv[i]
        if a in ("--step", "--initial", "--values"): opt[a] = argv[i + 1]; i += 1
        elif a.startswith("--"): opt[a] = True
        else: pos.append(a)
        i += 1
    if not pos or (len(pos) < 2 and "--values" not in opt): print(__doc__); return 2
    d = pos[0]; case = json.load(open(os.path.join(d, "case.json"))); case.setdefault("tolerance", FLOORS); exp = expected_of(d); bad = []; v = "--verbose" in opt
    if "--values" in opt:
        b, n = compare_values(case, exp, dict(np.load(opt["--values"])), v); bad += b
        print(f"{case['name']}: {n} values compared, {len(b)} differ")
    if len(pos) > 1:
        ini = opt.get("--initial", os.path.join(d, model_file(case)))
        init, icfg = read_weights(ini) if os.path.exists(ini) else (None, None)
        trained, tcfg = read_weights(pos[1])
        prefix = "final/" if case["mode"] == "fit" else f"step{opt.get('--step', max(case['check_steps']))}/"
        if not any(k.startswith(prefix) for k in exp): print(f"{case['name']}: no expected weights for {prefix}"); return 2
        b, worst, n = compare_weights(case, exp, init, trained, prefix, "--skip-optimizer" in opt, v); bad += b
        if icfg is not None and tcfg is not None and structure(icfg) != structure(tcfg): bad.append("config.json: layer names or classes differ from the initial model's")
        print(f"{case['name']}: {n} weights compared at {prefix[:-1]}, {len(b)} differ; largest difference is {worst[0]:.2g} of its limit ({worst[1]})")
    for b in bad: print("  DIFFERENT " + b)
    return 1 if bad else 0


if __name__ == "__main__":
    try: sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError, KeyError) as ex: print("cannot compare:", repr(ex)); sys.exit(2)
