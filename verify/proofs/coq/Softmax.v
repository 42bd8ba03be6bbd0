(* Softmax and logsumexp: (N.22), (N.23), and the two orders of softmax and selection (G.2), (G.4). *)
Require Import Reals Lra Lia Arith.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient.
Open Scope R_scope.

Definition expsum n (z : vec) := Sum n (fun j => exp (z j)).
Definition softmax n (z : vec) : vec := fun i => exp (z i) / expsum n z.
Definition logsumexp n (z : vec) := ln (expsum n z).

Lemma expsum_pos n z : (0 < n)%nat -> 0 < expsum n z.
Proof. intros Hn. apply Sum_pos; auto. intros. apply exp_pos. Qed.

Lemma softmax_ext n y z i : (i < n)%nat -> (forall j, (j < n)%nat -> y j = z j) -> softmax n y i = softmax n z i.
Proof.
  intros Hi H. unfold softmax, expsum. rewrite H by auto. f_equal. apply Sum_ext. intros. now rewrite H.
Qed.

Theorem softmax_positive n z i : (0 < n)%nat -> 0 < softmax n z i.
Proof. intros Hn. apply Rdiv_lt_0_compat; [apply exp_pos|now apply expsum_pos]. Qed.

Theorem softmax_sum n z : (0 < n)%nat -> Sum n (softmax n z) = 1.
Proof.
  intros Hn. unfold softmax. rewrite Sum_div. fold (expsum n z). assert (H := expsum_pos n z Hn). field. lra.
Qed.

Lemma softmax_le_1 n z i : (i < n)%nat -> softmax n z i <= 1.
Proof.
  intros Hi. rewrite <- (softmax_sum n z) by lia. apply Sum_ge_term; auto. intros. left. apply softmax_positive. lia.
Qed.

(* Taking the maximum, or anything else, off all logits changes nothing. *)
Theorem softmax_shift n z c i : (i < n)%nat -> softmax n (fun j => z j - c) i = softmax n z i.
Proof.
  intros Hi. unfold softmax, expsum.
  rewrite (Sum_ext n (fun j => exp (z j - c)) (fun j => exp (z j) * exp (- c))), Sum_scal_r
    by (intros; now rewrite <- exp_plus).
  assert (H := expsum_pos n z ltac:(lia)). unfold expsum in H. assert (Hc := exp_pos (- c)).
  unfold Rminus. rewrite exp_plus. field. lra.
Qed.

Theorem logsumexp_shift n z c : (0 < n)%nat -> logsumexp n z = c + logsumexp n (fun j => z j - c).
Proof.
  intros Hn. unfold logsumexp. assert (H := expsum_pos n z Hn).
  replace (expsum n (fun j => z j - c)) with (expsum n z * exp (- c)).
  - rewrite ln_mult, ln_exp by (auto; apply exp_pos). ring.
  - unfold expsum. rewrite <- Sum_scal_r. apply Sum_ext. intros. now rewrite <- exp_plus.
Qed.

Theorem logsumexp_bounds n z m : (0 < n)%nat -> (forall j, (j < n)%nat -> z j <= m) ->
  (exists j, (j < n)%nat /\ z j = m) -> m <= logsumexp n z <= m + ln (INR n).
Proof.
  intros Hn Hm [j [Hj E]]. rewrite (logsumexp_shift n z m Hn). unfold logsumexp, expsum.
  set (s := Sum n (fun i => exp (z i - m))).
  assert (H1 : 1 <= s).
  { unfold s. replace 1 with ((fun i => exp (z i - m)) j) by (cbv beta; rewrite E, Rminus_diag_eq, exp_0; auto).
    apply (Sum_ge_term n (fun i => exp (z i - m))); auto. intros. left. apply exp_pos. }
  assert (H2 : s <= INR n).
  { rewrite <- (Rmult_1_r (INR n)), <- (Sum_const n 1). apply Sum_le. intros i Hi. rewrite <- exp_0.
    destruct (Rle_lt_or_eq_dec (z i) m) as [L|L]; auto.
    - left. apply exp_increasing. lra.
    - rewrite L, Rminus_diag_eq; auto. lra. }
  split.
  - enough (0 <= ln s) by lra. rewrite <- ln_1. apply ln_le; lra.
  - enough (ln s <= ln (INR n)) by lra. apply ln_le; lra.
Qed.

Lemma logsumexp_softmax n z i : (0 < n)%nat -> softmax n z i = exp (z i - logsumexp n z).
Proof.
  intros Hn. unfold softmax, logsumexp, Rminus. rewrite exp_plus, exp_Ropp, exp_ln by now apply expsum_pos. reflexivity.
Qed.

Lemma ln_softmax n z i : (0 < n)%nat -> ln (softmax n z i) = z i - logsumexp n z.
Proof. intros Hn. now rewrite logsumexp_softmax, ln_exp. Qed.

Lemma d_expsum n (z : R -> vec) v t : (forall i, (i < n)%nat -> is_derive (fun u => z u i) t (v i)) ->
  is_derive (fun u => expsum n (z u)) t (Sum n (fun j => v j * exp (z t j))).
Proof.
  intros H. apply (d_sum n (fun u j => exp (z u j))). intros i Hi. now apply (d_exp (fun u => z u i)), H.
Qed.

(* The product with the Jacobian: the derivative of p_i along a curve of velocity v is p_i (v_i - <p, v>). *)
Lemma d_softmax n (z : R -> vec) v t i : (i < n)%nat ->
  (forall i, (i < n)%nat -> is_derive (fun u => z u i) t (v i)) ->
  is_derive (fun u => softmax n (z u) i) t (softmax n (z t) i * (v i - dot n (softmax n (z t)) v)).
Proof.
  intros Hi H. unfold softmax at 1. assert (Hp := expsum_pos n (z t) ltac:(lia)). eapply d_eq.
  - apply (d_div (fun u => exp (z u i)) (fun u => expsum n (z u))).
    + exact (d_exp (fun u => z u i) t (v i) (H i Hi)).
    + exact (d_expsum n z v t H).
    + lra.
  - cbv beta. replace (dot n (softmax n (z t)) v) with (Sum n (fun j => v j * exp (z t j)) / expsum n (z t)).
    + unfold softmax. field. lra.
    + rewrite <- Sum_div. apply Sum_ext. intros. unfold softmax. field. lra.
Qed.

(* d p_i / d z_j = p_i (delta_ij - p_j) *)
Theorem softmax_gradient n z i : (i < n)%nat ->
  grad n (fun y => softmax n y i) z (fun j => softmax n z i * (delta i j - softmax n z j)).
Proof.
  intros Hi y v t Hy Hv. eapply d_eq; [exact (d_softmax n y v t i Hi Hv)|].
  rewrite (softmax_ext n (y t) z) by auto. rewrite dot_scal_l, dot_minus_l. f_equal. f_equal.
  - symmetry. now apply Sum_delta_l.
  - apply dot_ext; auto. intros. now apply softmax_ext.
Qed.

(* Under a cotangent dp: dz_j = p_j (dp_j - <p, dp>) *)
Theorem softmax_vjp n z dp : (0 < n)%nat ->
  grad n (fun y => dot n dp (softmax n y)) z (fun j => softmax n z j * (dp j - dot n (softmax n z) dp)).
Proof.
  intros Hn y v t Hy Hv. eapply d_eq.
  - apply (d_sum n (fun u i => dp i * softmax n (y u) i)). intros i Hi.
    exact (d_scal (fun u => softmax n (y u) i) t (dp i) _ (d_softmax n y v t i Hi Hv)).
  - rewrite (Sum_ext n _ (fun i => softmax n z i * dp i * v i - softmax n z i * dp i * dot n (softmax n z) v)).
    + rewrite Sum_minus, Sum_scal_r. fold (dot n (softmax n z) dp). set (c := dot n (softmax n z) dp).
      transitivity (Sum n (fun i => softmax n z i * dp i * v i) - c * dot n (softmax n z) v); [ring|].
      unfold dot. rewrite <- Sum_scal, <- Sum_minus. apply Sum_ext. intros. ring.
    + intros i Hi. rewrite (softmax_ext n (y t) z) by auto.
      rewrite (dot_ext n (softmax n (y t)) v (softmax n z) v) by (auto; intros; now apply softmax_ext). ring.
Qed.

Lemma softmax_vjp_sum n z dp : (0 < n)%nat ->
  Sum n (fun j => softmax n z j * (dp j - dot n (softmax n z) dp)) = 0.
Proof.
  intros Hn. rewrite (Sum_ext n _ (fun j => softmax n z j * dp j - softmax n z j * dot n (softmax n z) dp))
    by (intros; ring). rewrite Sum_minus, Sum_scal_r, softmax_sum by auto. unfold dot. ring.
Qed.

(* d lse / d z_i = exp(z_i - lse) = p_i *)
Theorem logsumexp_gradient n z : (0 < n)%nat -> grad n (logsumexp n) z (softmax n z).
Proof.
  intros Hn y v t Hy Hv. eapply d_eq.
  - exact (d_ln (fun u => expsum n (y u)) t _ (d_expsum n y v t Hv) (expsum_pos n (y t) Hn)).
  - unfold dot. rewrite <- Sum_div. apply Sum_ext. intros i Hi. rewrite <- (softmax_ext n (y t) z) by auto.
    unfold softmax. field. assert (H := expsum_pos n (y t) Hn). lra.
Qed.

(* Softmax of the selected logits is the softmax of all, renormalised over the selected: (G.2) and (G.4). *)
Theorem selected_softmax n k (z : vec) (I : nat -> nat) j : (0 < n)%nat -> (j < k)%nat ->
  softmax k (fun l => z (I l)) j = softmax n z (I j) / Sum k (fun l => softmax n z (I l)).
Proof.
  intros Hn Hj. unfold softmax. rewrite Sum_div. assert (H := expsum_pos n z Hn).
  assert (K := expsum_pos k (fun l => z (I l)) ltac:(lia)). unfold expsum in K. unfold expsum at 1. field. lra.
Qed.
