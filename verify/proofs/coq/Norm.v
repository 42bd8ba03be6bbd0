(* Norms, directions, cosines and normalised weights: (N.24), (G.12), (G.13), (C.2), (C.6), (K.13). *)
Require Import Reals Lra Lia Arith.
From Coquelicot Require Import Coquelicot.
From Smoeref Require Import Sums Gradient.
Open Scope R_scope.

Definition norm n (x : vec) := sqrt (dot n x x).
Definition direction n (x : vec) : vec := fun i => x i / norm n x.
Definition damped n (tau : R) (x : vec) : vec := fun i => x i / (norm n x + tau).

Lemma norm_ext n x y : (forall i, (i < n)%nat -> x i = y i) -> norm n x = norm n y.
Proof. intros H. unfold norm. f_equal. now apply dot_ext. Qed.

Lemma norm_nonneg n x : 0 <= norm n x.
Proof. apply sqrt_pos. Qed.

Lemma norm_square n x : norm n x * norm n x = dot n x x.
Proof. apply sqrt_def, dot_self_nonneg. Qed.

Lemma norm_positive n x : 0 < norm n x -> 0 < dot n x x.
Proof. intros H. rewrite <- norm_square. nra. Qed.

Lemma direction_unit n x : 0 < norm n x -> dot n (direction n x) (direction n x) = 1.
Proof.
  intros H. assert (E := norm_square n x).
  replace (dot n (direction n x) (direction n x)) with (dot n x x / (norm n x * norm n x)).
  - rewrite E. field. apply norm_positive in H. lra.
  - unfold dot. rewrite <- Sum_div. apply Sum_ext. intros. unfold direction. field. lra.
Qed.

Lemma d_norm n (z : R -> vec) v t : 0 < norm n (z t) -> (forall i, (i < n)%nat -> is_derive (fun u => z u i) t (v i)) ->
  is_derive (fun u => norm n (z u)) t (dot n (z t) v / norm n (z t)).
Proof.
  intros H Hv. eapply d_eq.
  - apply (d_sqrt (fun u => dot n (z u) (z u))); [exact (d_dot n z z v v t Hv Hv)|now apply norm_positive].
  - fold (norm n (z t)). rewrite (dot_sym n v (z t)). field. lra.
Qed.

(* d |x| / d x_i = x_i / |x| *)
Theorem norm_gradient n x : 0 < norm n x -> grad n (norm n) x (direction n x).
Proof.
  intros H z v t Hz Hv. rewrite <- (norm_ext n (z t) x) in H by auto. eapply d_eq; [exact (d_norm n z v t H Hv)|].
  unfold dot. rewrite <- Sum_div. apply Sum_ext. intros i Hi. unfold direction.
  rewrite (norm_ext n x (z t)), (Hz i) by (auto; intros; symmetry; auto). unfold Rdiv. ring.
Qed.

Lemma dot_damped n tau x y : dot n y (damped n tau x) = dot n y x / (norm n x + tau).
Proof. unfold dot. rewrite <- Sum_div. apply Sum_ext. intros. unfold damped, Rdiv. ring. Qed.

Lemma dot_direction n x y : dot n y (direction n x) = dot n y x / norm n x.
Proof. unfold dot. rewrite <- Sum_div. apply Sum_ext. intros. unfold direction, Rdiv. ring. Qed.

(* Under a cotangent du: dx = (du - <u, du> x/|x|) / (|x| + tau) *)
Theorem damped_vjp n tau x du : 0 < norm n x -> 0 < norm n x + tau ->
  grad n (fun y => dot n du (damped n tau y)) x
    (fun i => (du i - dot n (damped n tau x) du * direction n x i) / (norm n x + tau)).
Proof.
  intros H Ht z v t Hz Hv. assert (En : norm n (z t) = norm n x) by (apply norm_ext; auto).
  assert (Hr : norm n (z t) + tau <> 0) by lra.
  apply (d_ext (fun u => dot n du (z u) / (norm n (z u) + tau))); [intros; now rewrite dot_damped|]. eapply d_eq.
  - apply (d_div (fun u => dot n du (z u)) (fun u => norm n (z u) + tau)); [| |exact Hr].
    + exact (d_dot n (fun _ => du) z (fun _ => 0) v t (fun i _ => d_const (du i) t) Hv).
    + apply (d_plus (fun u => norm n (z u)) (fun _ => tau)); [|apply d_const].
      exact (d_norm n z v t ltac:(lra) Hv).
  - rewrite En, (dot_ext n du (z t) du x), (dot_ext n (z t) v x v) by auto.
    rewrite dot_zero_l.
    rewrite (dot_sym n (damped n tau x) du), dot_damped.
    rewrite (dot_div_l n (norm n x + tau)), dot_minus_l, dot_scal_l, (dot_sym n (direction n x) v), dot_direction.
    rewrite (dot_sym n v x). unfold Rdiv. ring.
Qed.

(* The same without damping: dx = (du - <u, du> u) / |x| *)
Theorem direction_vjp n x du : 0 < norm n x ->
  grad n (fun y => dot n du (direction n y)) x (fun i => (du i - dot n (direction n x) du * direction n x i) / norm n x).
Proof.
  intros H z v t Hz Hv. assert (G := damped_vjp n 0 x du H ltac:(lra) z v t Hz Hv).
  apply (d_ext (fun u => dot n du (damped n 0 (z u)))).
  - intros. apply dot_ext; auto. intros. unfold damped, direction. now rewrite Rplus_0_r.
  - eapply d_eq; [exact G|]. apply dot_ext; auto. intros. rewrite Rplus_0_r. do 3 f_equal.
    apply dot_ext; auto. intros. unfold damped, direction. now rewrite Rplus_0_r.
Qed.

(* It is orthogonal to x: a direction can be turned and not stretched. *)
Theorem direction_orthogonal n x du : 0 < norm n x ->
  dot n (fun i => (du i - dot n (direction n x) du * direction n x i) / norm n x) x = 0.
Proof.
  intros H. rewrite (dot_div_l n (norm n x)), dot_minus_l, dot_scal_l, (dot_sym n (direction n x) du).
  rewrite (dot_sym n (direction n x) x), !dot_direction, <- norm_square. field. lra.
Qed.

Lemma cosine_bound n x y : 0 < norm n x -> 0 < norm n y -> -1 <= dot n (direction n x) (direction n y) <= 1.
Proof.
  intros Hx Hy. assert (C := Sum_cauchy n (direction n x) (direction n y)).
  rewrite !direction_unit in C by auto. nra.
Qed.

(* Weights w_i = s_i / sum s. *)
Definition normalised n (s : vec) : vec := fun i => s i / Sum n s.

Theorem normalised_sum n s : Sum n s <> 0 -> Sum n (normalised n s) = 1.
Proof. intros H. unfold normalised. rewrite Sum_div. field. auto. Qed.

(* Under a cotangent omega: ds_j = (omega_j - <w, omega>) / sum s *)
Theorem normalised_vjp n s omega : Sum n s <> 0 ->
  grad n (fun y => dot n omega (normalised n y)) s (fun j => (omega j - dot n (normalised n s) omega) / Sum n s).
Proof.
  intros H z v t Hz Hv. assert (E : Sum n (z t) = Sum n s) by (apply Sum_ext; auto).
  apply (d_ext (fun u => dot n omega (z u) / Sum n (z u))).
  { intros. unfold dot. rewrite <- Sum_div. apply Sum_ext. intros. unfold normalised, Rdiv. ring. }
  eapply d_eq.
  - apply (d_div (fun u => dot n omega (z u)) (fun u => Sum n (z u))); [| |rewrite E; auto].
    + exact (d_dot n (fun _ => omega) z (fun _ => 0) v t (fun i _ => d_const (omega i) t) Hv).
    + exact (d_sum n z v t Hv).
  - rewrite dot_zero_l.
    rewrite E, (dot_ext n omega (z t) omega s) by auto.
    replace (dot n (normalised n s) omega) with (dot n omega s / Sum n s)
      by (unfold dot; rewrite <- Sum_div; apply Sum_ext; intros; unfold normalised, Rdiv; ring).
    rewrite (dot_div_l n (Sum n s)), dot_minus_l. unfold dot at 4. rewrite Sum_scal. unfold Rdiv. ring.
Qed.

(* A convex combination lies between the bounds of what it combines. *)
Theorem convex_combination n w x lo hi : Sum n w = 1 -> (forall i, (i < n)%nat -> 0 <= w i) ->
  (forall i, (i < n)%nat -> lo <= x i <= hi) -> lo <= dot n w x <= hi.
Proof.
  intros Hw Hp Hx. split.
  - replace lo with (Sum n (fun i => w i * lo)) by (rewrite Sum_scal_r, Hw; ring).
    apply Sum_le. intros i Hi. specialize (Hp i Hi). specialize (Hx i Hi). nra.
  - replace hi with (Sum n (fun i => w i * hi)) by (rewrite Sum_scal_r, Hw; ring).
    apply Sum_le. intros i Hi. specialize (Hp i Hi). specialize (Hx i Hi). nra.
Qed.

(* Cosine of two vectors: dx = (w - kappa u) / |x| with u, w their directions and kappa = <u, w>. *)
Theorem cosine_gradient n x y : 0 < norm n x ->
  grad n (fun a => dot n (direction n a) (direction n y)) x
    (fun i => (direction n y i - dot n (direction n x) (direction n y) * direction n x i) / norm n x).
Proof.
  intros H z v t Hz Hv. apply (d_ext (fun u => dot n (direction n y) (direction n (z u)))); [intros; apply dot_sym|].
  exact (direction_vjp n x (direction n y) H z v t Hz Hv).
Qed.
