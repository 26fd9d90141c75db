"""Invented reports, as their commands write them, of any size."""

import math

CATEGORIES = ("parameter", "buffer", "average", "weight_copy", "input", "gradient",
              "optimizer_state", "activation", "workspace", "autograd_detail", "temporary",
              "unknown")
PHASES = ("setup", "forward", "backward", "optimizer_step")
MIB = 1 << 20

# Names that would do harm as markup.
SCRIPT = "<script>alert(1)</script>"
IMAGE = '"><img src=x onerror=alert(2)>'


def header(kind, command, **configuration):
    return {
        "schema": "sbp-report", "schema_version": "1.0", "kind": kind, "command_line": command,
        "configuration": {"model": "vit:depth=2", "batch": 8, "precision": "fp32",
                          "device": "cpu", **configuration},
        "environment": {
            "sbp_version": "0.1.0", "git_commit": None,
            "git_commit_reason": "not built from a git checkout", "libtorch_version": "2.14.1",
            "compiler": "gcc 12", "processor": "a processor", "operating_system": "Linux",
            "host": "here", "processor_count": 2, "threads": 2, "memory_bytes": 1 << 34,
            "started_at": "2026-01-02T03:04:05Z"},
        "warnings": [],
    }


def model():
    return {"spec": "vit:depth=2,heads=2", "parameter_count": 1000, "parameter_bytes": 4000,
            "buffer_bytes": 0}


def strategy(spec="sbp:keep=0.5,mask=grid", keep=0.5):
    return {"spec": spec, "effective_keep_ratio": keep, "forward_exact": True}


def ledger():
    return {"allocate_events": 1204, "free_events": 1100, "dropped_events": 0, "unmatched_frees": 0,
            "recounts": 1, "balanced": True, "peak_is_lower_bound": False, "first_problem": ""}


def layer_names(count):
    """blocks.N and four layers below each, until there are `count`."""
    below = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    names = []
    block = 0
    while len(names) < count:
        names += [(f"blocks.{block}", "block")]
        names += [(f"blocks.{block}.{name}", "linear") for name in below]
        block += 1
    return names[:count]


def layer(number, name, kind):
    saved = 0 if kind == "block" else 1000 * number + 17
    own = {"parameter": 400 + number, "activation": 3 * number + 5}
    return {"name": name, "kind": kind, "saved_logical_bytes": 2 * saved,
            "saved_distinct_bytes": saved, "saved_marginal_bytes": saved // 2,
            "saved_index_bytes": 0, "saved_count": number % 7,
            "own_peak_bytes": sum(own.values()), "own_categories_at_peak": own}


def timeline(points, peak_bytes):
    rows = []
    for i in range(points):
        part = i / (points - 1)
        rows.append({"time_ns": 1000 * i, "live_bytes": int(peak_bytes * math.sin(math.pi * part)),
                     "phase": PHASES[min(3, int(4 * part))]})
    rows[points // 2]["live_bytes"] = peak_bytes
    return rows


def profile(layers=30, names=(), points=200, time=True, **configuration):
    rows = [layer(i, *name) for i, name in enumerate(layer_names(layers))]
    rows += [layer(5 + i, name, "linear") for i, name in enumerate(names)]
    at_peak = {name: 0 for name in CATEGORIES}
    for row in rows:
        for name, value in row["own_categories_at_peak"].items():
            at_peak[name] += value
    at_peak["temporary"] = 12345
    rows.append({**layer(0, "", "outside"), "own_peak_bytes": 12345,
                 "own_categories_at_peak": {"temporary": 12345}})
    peak = sum(at_peak.values())
    report = header("profile", ["sbp-profile", "--model", "vit:depth=2"], **configuration)
    report |= {"model": model(), "strategy": strategy(), "plan": [
        {"site": name, "kind": kind, "claimed_by": "sbp" if i % 2 else "", "select": "rows",
         "keep_ratio": 0.5, "effective_keep_ratio": 0.5, "rows": 16, "kept_rows": 8,
         "mask_group": "all", "materialise": "store", "code": ""}
        for i, (name, kind) in enumerate(layer_names(layers))], "loss": 1.5}
    if time:
        one = {"median": 0.0525, "minimum": 0.05, "maximum": 0.06, "count": 5}
        report["time"] = {f"{part}_seconds": one for part in ("step", "forward", "backward",
                                                             "optimizer")}
        report["time"]["samples_per_second"] = 152.375
    else:
        report |= {"time": None, "time_reason": "the meta device computes nothing"}
    report |= {"resident_set": None, "resident_set_reason": "not measured", "tracing_seconds": 0.5}
    report["memory"] = {
        "peak_bytes": peak, "peak_phase": "backward", "peak_layer": "blocks.0.mlp.fc1",
        "peak_time_ns": 1000 * (points // 2), "peak_record_index": 77,
        "transient_peak_bytes": 12345,
        "runner_up": {"bytes": peak - 1, "phase": "forward", "layer": "blocks.0", "time_ns": 5000,
                      "record_index": 60},
        "saved": {"logical_bytes": 54321987, "distinct_bytes": 43219876,
                  "marginal_bytes": 43219000, "index_bytes": 792, "count": 199},
        "categories_at_peak": at_peak, "ledger": ledger(),
        "phases": [{"phase": phase, "peak_bytes": peak - i, "live_at_end_bytes": peak // 2 + i,
                    "allocated_bytes": 1000 + i, "allocate_events": 10 + i}
                   for i, phase in enumerate(PHASES)],
        "layers": rows, "cells_at_peak": [], "timeline": timeline(points, peak)}
    return report


def predicted_layer(number, name, kind):
    row = layer(number, name, kind)
    categories = row.pop("own_categories_at_peak")
    own = row.pop("own_peak_bytes")
    return {**row, "requested_bytes": own, "block_bytes": own + 100, "categories": categories}


def prediction(layers=30, fits=True, runs=50, names=(), device="rtx3060:memory=12884901888B"):
    rows = [predicted_layer(i, *name) for i, name in enumerate(layer_names(layers))]
    rows += [predicted_layer(5 + i, name, "linear") for i, name in enumerate(names)]
    requested = sum(row["requested_bytes"] for row in rows)
    rounding = sum(row["block_bytes"] - row["requested_bytes"] for row in rows) + 500
    overheads = {"cublas_workspace": 3000, "rounding": rounding, "cached": 7000, "context": 20000,
                 "kernel_code": 0, "library_handles": 1000}
    allocated = requested + 3000 + rounding
    peak = requested + sum(overheads.values())
    moment = {"step": 2, "phase": "backward", "layer": rows[-1]["name"]}
    fit = {"capacity_bytes": 2 * peak, "fits": True, "peak_device_bytes": peak, "retries": 2,
           "failed_at": None, "failed_at_reason": "it fits", "failed_bytes": None,
           "failed_bytes_reason": "it fits"}
    if not fits:
        fit = {"capacity_bytes": peak // 2, "fits": False, "peak_device_bytes": peak // 3,
               "retries": 0, "failed_at": moment, "failed_bytes": 4096}
    return {
        **header("prediction", ["sbp-profile", "--predict", "rtx3060"]),
        "model": model(), "strategy": strategy(), "plan": [], "seconds": 0.5,
        "saved": {"logical_bytes": 900, "distinct_bytes": 700, "marginal_bytes": 600,
                  "index_bytes": 8, "count": 12},
        "prediction": {
            "device": device, "allocator": "native", "steps": 3,
            "peak_requested_bytes": requested + 3000, "peak_allocated_bytes": allocated,
            "peak_reserved_bytes": allocated + 7000, "peak_device_bytes": peak,
            "interval_bytes": [peak - 1000, peak + 1000],
            "accuracy": {"runs": runs, "median_error": 0.015, "ninetieth_percentile_error": 0.05,
                         "worst_error": 0.1, "under_estimate_rate": 0.4,
                         "under_by_5_percent_rate": 0.04, "lowest_ratio": 0.97,
                         "highest_ratio": 1.04},
            "fits": fit, "largest_batch": None,
            "largest_batch_reason": "not searched for; sbp-profile --largest-batch does",
            "allocated_peak": moment, "reserved_peak": {**moment, "layer": ""},
            "overheads": overheads, "layers": rows, "segments": 3, "device_allocations": 4,
            "requests": 99, "blocks": None, "blocks_reason": "not kept"},
    }


def training(epochs=3, steps=20, **configuration):
    report = header("train", ["sbp-train"], **configuration)
    rows = []
    for i in range(1, epochs + 1):
        rows.append({
            "epoch": i, "steps": i * steps, "train_loss": 2.3 / i, "learning_rate": 0.001,
            "seconds": 1.5, "data_wait_seconds": 0.1, "samples_per_second": 400.0,
            "evaluation": {"loss": 2.4 / i, "top1": 0.1 * i, "top5": 0.2 * i, "samples": 640},
            "averaged_evaluation": None,
            "averaged_evaluation_reason": "no averaged weights were kept",
            "resident_bytes": None, "resident_bytes_reason": "not measured"})
    memory = profile()["memory"]
    report |= {
        "model": model(), "strategy": strategy(), "plan": [], "interrupted": False,
        "steps": epochs * steps, "seconds": 5.0, "resumed_from": None,
        "resumed_from_reason": "not resumed", "weights_checksum": "crc32:00000000", "epochs": rows,
        "final_evaluation": rows[-1]["evaluation"], "final_averaged_evaluation": None,
        "final_averaged_evaluation_reason": "no averaged weights were kept",
        "memory": {key: memory[key] for key in ("peak_bytes", "peak_phase", "transient_peak_bytes",
                                                "saved", "categories_at_peak", "ledger")},
        "step_losses": [2.3 - 0.01 * i for i in range(epochs * steps)], "fidelity": []}
    return report


def agreement(cosine):
    reason = "the exact gradient is zero, or absent"
    keys = ("cosine", "relative_error", "norm_ratio", "sign_agreement")
    if cosine is None:
        return dict.fromkeys(keys) | {f"{key}_reason": reason for key in keys}
    return dict(zip(keys, (cosine, math.sqrt(max(0, 2 - 2 * cosine)), (1 + cosine) / 2,
                           0.5 + abs(cosine) / 2)))


def over_layers(rows):
    spreads = {}
    for key in ("cosine", "relative_error", "norm_ratio", "sign_agreement"):
        values = [(row[key], row["name"]) for row in rows if row[key] is not None]
        (least, at_least), (most, at_most) = min(values), max(values)
        spreads[key] = {"mean": sum(value for value, _ in values) / len(values), "minimum": least,
                        "minimum_layer": at_least, "maximum": most, "maximum_layer": at_most}
    return spreads


def gradient_strategy(name, keep, layers, names=()):
    cosine = 0.3 + 0.7 * keep
    rows = []
    listed = [*layer_names(layers), *((name, "linear") for name in names)]
    for i, (layer_name, kind) in enumerate(listed):
        own = None if i == 3 else 1.0 if keep == 1 else cosine - 0.2 * i / (layers + 1)
        rows.append({"name": layer_name, "kind": kind, "elements": 100 + i, **agreement(own),
                     "local_cosine": cosine, "local_relative_error": 0.25, "exact_norm": 0.5,
                     "noise_ratio": 0.125, "saved_distinct_bytes": 1000 * i})
    return {"spec": f"{name},mask=grid,attention=query", "effective_keep_ratio": keep,
            "forward_exact": True, "name": name, "scoring": "passes", **agreement(cosine),
            "update_cosine": cosine, "over_layers": over_layers(rows),
            "noise": {"masks": 4, "cosine_of_mean": cosine, "squared_bias": 0.01, "variance": 0.02,
                      "noise_ratio": 0.25, "effective_batch": 6.4},
            "saved_distinct_bytes": int(200 * MIB * keep) + 7, "saved_index_bytes": 80,
            "peak_bytes": int(300 * MIB * keep) + 11, "layers": rows, "parameters": []}


def correlate(layers=30, keeps=(1.0, 0.25, 0.5, 0.75), names=()):
    report = header("correlate", ["sbp-correlate"])
    strategies = [gradient_strategy(f"sbp:keep={keep}" if keep < 1 else "full", keep, layers, names)
                  for keep in keeps]
    report |= {
        "model": model(), "state": {"steps": 50, "source": "trained here", "loss": 2.125,
                                    "gradient_norm": 1.5, "batch_variance": 0.75},
        "interrupted": False, "seconds": 4.5, "fidelity": {
            "batches": 2, "strategies": strategies, "baselines": [
                {"name": name, **agreement(cosine), "update_cosine": cosine,
                 "over_layers": strategies[-1]["over_layers"]}
                for name, cosine in (("half_batch", 0.6), ("other_batch", 0.1))]}}
    return report


def fidelity_points(count=4):
    return [{"step": 10 * i, **agreement(1 - 0.1 * i), "layer_cosine": {
        "mean": 0.9 - 0.1 * i, "minimum": 0.5 - 0.1 * i, "minimum_layer": "blocks.0.mlp.fc1",
        "maximum": 1.0, "maximum_layer": "head"}} for i in range(count)]


def sweep(keeps=10, masks=("grid", "random"), seeds=3, command="profile"):
    """Full backward, and every mask at every keep ratio; each with all seeds."""
    report = header("sweep", ["sbp-sweep"])
    axes = [("strategy", ["full", "sbp"]), ("strategy.sbp.mask", list(masks)),
            ("strategy.sbp.keep", [str(round((i + 1) / keeps, 4)) for i in range(keeps)]),
            ("seed", [str(i + 1) for i in range(seeds)])]
    report |= {"command": command, "about": "keep ratios",
               "axes": [{"name": name, "values": values} for name, values in axes], "points": []}
    for seed in axes[3][1]:
        add_point(report, ["full", None, None, seed], keep=1.0, noise=0.0)
        for number, mask in enumerate(masks):
            for keep in axes[2][1]:
                add_point(report, ["sbp", mask, keep, seed], keep=float(keep),
                          noise=0.01 * number + 0.002 * int(seed))
    return report


def add_point(report, values, keep, noise):
    number = len(report["points"])
    axes = {}
    for axis, value in zip(report["axes"], values):
        axes[axis["name"]] = value
        if value is None:
            axes[f"{axis['name']}_reason"] = "the axis names nothing of this point"
    point = {"id": f"{4096 + number:016x}", "file": f"points/{4096 + number:016x}.json",
             "axes": axes, "status": "finished", "reason": "", "seconds": 2.5 + noise,
             "estimated_bytes": 400 * MIB, "figures": {
                 "batch": 8, "effective_keep_ratio": keep,
                 "peak_bytes": int(300 * MIB * keep) + number,
                 "transient_peak_bytes": 1000 + number,
                 "saved_distinct_bytes": int(200 * MIB * keep) + number, "saved_index_bytes": 800,
                 "top1": 0.8 * math.sqrt(keep) - noise, "cosine": math.sqrt(keep) - noise,
                 "mean_layer_cosine": math.sqrt(keep) - 2 * noise,
                 "relative_error": 1 - keep + noise, "norm_ratio": 1.0,
                 "sign_agreement": 0.5 + keep / 3, "step_seconds": 0.05 + keep / 9,
                 "samples_per_second": 8 / (0.05 + keep / 9)}}
    if number % 97 == 96:
        point |= {"status": "failed", "reason": "exit status 1", "figures": {}}
    report["points"].append(point)
