(* Functions of one number: (N.14) to (N.21). *)
Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient.
Open Scope R_scope.

Definition sigmoid (z : R) := / (1 + exp (- z)).
Definition softplus (z : R) := ln (1 + exp z).
Definition silu (z : R) := z * sigmoid z.

Lemma sigmoid_positive z : 0 < sigmoid z.
Proof. apply Rinv_0_lt_compat. assert (H := exp_pos (- z)). lra. Qed.

Lemma exp_opp_mult z : exp z * exp (- z) = 1.
Proof. rewrite <- exp_plus, Rplus_opp_r. apply exp_0. Qed.

Theorem sigmoid_complement z : 1 - sigmoid z = sigmoid (- z).
Proof.
  unfold sigmoid. rewrite Ropp_involutive. assert (H := exp_pos z). assert (K := exp_pos (- z)).
  assert (E := exp_opp_mult z). apply (Rmult_eq_reg_r ((1 + exp z) * (1 + exp (- z)))); [|nra]. field_simplify; nra.
Qed.

Lemma sigmoid_logistic z : sigmoid z = exp z / (1 + exp z).
Proof.
  unfold sigmoid. assert (H := exp_pos z). assert (K := exp_pos (- z)). assert (E := exp_opp_mult z).
  apply (Rmult_eq_reg_r ((1 + exp z) * (1 + exp (- z)))); [|nra]. field_simplify; nra.
Qed.

Theorem sigmoid_derivative z : is_derive sigmoid z (sigmoid z * sigmoid (- z)).
Proof.
  unfold sigmoid at 1. assert (K := exp_pos (- z)). eapply d_eq.
  - apply (d_inv (fun u => 1 + exp (- u))); [|lra].
    apply (d_plus (fun _ => 1) (fun u => exp (- u))); [apply d_const|].
    apply (d_exp (fun u => - u)), (d_opp (fun u => u)), d_id.
  - rewrite <- sigmoid_complement. unfold sigmoid. field. lra.
Qed.

Theorem softplus_derivative z : is_derive softplus z (sigmoid z).
Proof.
  assert (K := exp_pos z). eapply d_eq.
  - apply (d_ln (fun u => 1 + exp u)); [|lra].
    apply (d_plus (fun _ => 1) exp); [apply d_const|]. apply (d_exp (fun u => u)), d_id.
  - rewrite sigmoid_logistic. field. lra.
Qed.

(* The form that is evaluated: log1p(exp(-|z|)) + max(z, 0). *)
Theorem softplus_stable z : softplus z = ln (1 + exp (- Rabs z)) + Rmax z 0.
Proof.
  unfold softplus. destruct (Rle_lt_dec 0 z) as [H|H].
  - rewrite Rabs_pos_eq, Rmax_left by lra. assert (K := exp_pos (- z)).
    rewrite <- (ln_exp z) at 3. rewrite <- ln_mult by (try apply exp_pos; lra). f_equal.
    assert (E := exp_opp_mult z). nra.
  - rewrite Rabs_left, Rmax_right by lra. rewrite Ropp_involutive. ring.
Qed.

Theorem silu_derivative z : is_derive silu z (sigmoid z * (1 + z * sigmoid (- z))).
Proof.
  eapply d_eq.
  - apply (d_mult (fun u => u) sigmoid); [apply d_id|apply sigmoid_derivative].
  - ring.
Qed.

Lemma tanh_sigmoid x : tanh x = 2 * sigmoid (2 * x) - 1.
Proof.
  unfold tanh, sinh, cosh, sigmoid. assert (H := exp_pos x). assert (K := exp_pos (- x)).
  replace (exp (- (2 * x))) with (exp (- x) * exp (- x)) by (rewrite <- exp_plus; f_equal; ring).
  assert (E := exp_opp_mult x). set (a := exp x) in *. set (b := exp (- x)) in *.
  assert (Ha : a = / b) by (field_simplify_eq; lra). rewrite Ha. field. split; nra.
Qed.

Theorem tanh_derivative x : is_derive tanh x (4 * sigmoid (2 * x) * sigmoid (- (2 * x))).
Proof.
  apply (d_ext (fun u => 2 * sigmoid (2 * u) - 1)); [intros; now rewrite tanh_sigmoid|]. eapply d_eq.
  - apply (d_minus (fun u => 2 * sigmoid (2 * u)) (fun _ => 1)); [|apply d_const].
    apply (d_scal (fun u => sigmoid (2 * u))).
    apply (d_comp sigmoid (fun u => 2 * u)); [apply sigmoid_derivative|]. apply (d_scal (fun u => u)), d_id.
  - ring.
Qed.

(* The normal density, and its integral from the middle. *)
Definition phi (x : R) := exp (- (x * x / 2)) / sqrt (2 * PI).
Definition Phi (x : R) := / 2 + RInt phi 0 x.
Definition gelu (x : R) := x * Phi x.

Theorem phi_derivative x : is_derive phi x (- x * phi x).
Proof.
  apply (d_ext (fun u => / sqrt (2 * PI) * exp (- / 2 * (u * u)))).
  { intros. unfold phi, Rdiv. rewrite Rmult_comm. f_equal. f_equal. field. }
  eapply d_eq.
  - apply (d_scal (fun u => exp (- / 2 * (u * u)))). apply (d_exp (fun u => - / 2 * (u * u))).
    apply (d_scal (fun u => u * u)). apply (d_mult (fun u => u) (fun u => u)); apply d_id.
  - unfold phi. replace (- (x * x / 2)) with (- / 2 * (x * x)) by field. field.
    apply Rgt_not_eq, sqrt_lt_R0. assert (H := PI_RGT_0). lra.
Qed.

Lemma phi_continuous x : continuous phi x.
Proof. apply (ex_derive_continuous (V := R_NormedModule)). eexists. apply phi_derivative. Qed.

Lemma phi_integrable a b : ex_RInt phi a b.
Proof. apply (ex_RInt_continuous (V := R_CompleteNormedModule)). intros. apply phi_continuous. Qed.

Theorem Phi_derivative x : is_derive Phi x (phi x).
Proof.
  eapply d_eq.
  - apply (d_plus (fun _ => / 2) (fun u => RInt phi 0 u)); [apply d_const|].
    apply (is_derive_RInt phi (fun u => RInt phi 0 u) 0 x).
    + exists (mkposreal 1 Rlt_0_1). intros y _. apply (RInt_correct (V := R_CompleteNormedModule)), phi_integrable.
    + apply phi_continuous.
  - ring.
Qed.

Theorem Phi_symmetric x : Phi x + Phi (- x) = 1.
Proof.
  unfold Phi. enough (E : RInt phi 0 (- x) = - RInt phi 0 x) by lra.
  assert (L := RInt_comp_lin phi (-1) 0 0 x (phi_integrable _ _)).
  replace (-1 * 0 + 0) with 0 in L by ring. replace (-1 * x + 0) with (- x) in L by ring. rewrite <- L.
  rewrite <- (RInt_opp (V := R_CompleteNormedModule)) by apply phi_integrable.
  apply RInt_ext. intros u _. unfold scal; simpl. unfold mult, opp; simpl. unfold phi.
  replace ((-1 * u + 0) * (-1 * u + 0)) with (u * u) by ring. ring.
Qed.

Theorem gelu_derivative x : is_derive gelu x (Phi x + x * phi x).
Proof.
  eapply d_eq.
  - apply (d_mult (fun u => u) Phi); [apply d_id|apply Phi_derivative].
  - ring.
Qed.

(* The tanh form, with c = 0.044715 or any other number. *)
Definition gelu_argument (c x : R) := sqrt (2 / PI) * (x + c * (x * x * x)).
Definition gelu_tanh (c x : R) := x / 2 * (1 + tanh (gelu_argument c x)).

Theorem gelu_tanh_sigmoid c x : gelu_tanh c x = x * sigmoid (2 * gelu_argument c x).
Proof. unfold gelu_tanh. rewrite tanh_sigmoid. field. Qed.

Theorem gelu_tanh_derivative c x : let v := 2 * gelu_argument c x in
  is_derive (gelu_tanh c) x (sigmoid v * (1 + x * sigmoid (- v) * (2 * sqrt (2 / PI) * (1 + 3 * c * (x * x))))).
Proof.
  intros v. apply (d_ext (fun u => u * sigmoid (2 * gelu_argument c u))); [intros; now rewrite gelu_tanh_sigmoid|].
  eapply d_eq.
  - apply (d_mult (fun u => u) (fun u => sigmoid (2 * gelu_argument c u))); [apply d_id|].
    apply (d_comp sigmoid (fun u => 2 * gelu_argument c u)); [apply sigmoid_derivative|].
    apply (d_scal (gelu_argument c)). apply (d_scal (fun u => u + c * (u * u * u))).
    apply (d_plus (fun u => u) (fun u => c * (u * u * u))); [apply d_id|].
    apply (d_scal (fun u => u * u * u)). apply (d_mult (fun u => u * u) (fun u => u)); [|apply d_id].
    apply (d_mult (fun u => u) (fun u => u)); apply d_id.
  - fold v. ring.
Qed.
